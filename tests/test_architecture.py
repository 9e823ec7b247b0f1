"""The package layout: imports point one way, names of files are unique, files are small."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import spacy_mner

ROOT = Path(spacy_mner.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# From the commands down to torch: a package imports from those in later rows, and from itself.
ROWS = [
    ["cli"],
    ["serve"],
    ["visualize", "annotate", "training"],
    ["evaluation"],
    ["corpus"],
    ["pipeline"],
    ["models"],
    ["features", "layers"],
    ["extensions"],
    ["images"],
    ["registries", "utils"],
    ["about", "errors"],
]
ROW_OF = {package: i for i, row in enumerate(ROWS) for package in row}
ROOT_MODULES = {"__init__", "about", "errors", "extensions", "registries"}


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """The absolute names of all modules that a file imports, also inside functions."""
    parts = ("spacy_mner", *path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def packages_imported(path: Path) -> set[str]:
    names = (name.split(".") for name in imports_of(path))
    return {parts[1] for parts in names if parts[0] == "spacy_mner" and parts[1] in ROW_OF}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_from_commands_to_layers(path):
    package = package_of(path)
    if package == "__init__":
        return
    row = ROW_OF[package]
    upward = {p for p in packages_imported(path) if p != package and ROW_OF[p] <= row}
    assert not upward, f"{path.relative_to(ROOT)} imports from {sorted(upward)}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "layers").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_layers_import_torch_alone(path):
    packages = {name.split(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
    assert packages <= {"torch", "spacy_mner"}
    assert packages_imported(path) <= {"layers"}


def test_the_root_has_no_modules_beyond_those_of_the_design():
    assert {path.stem for path in ROOT.glob("*.py")} == ROOT_MODULES


def test_a_file_name_occurs_once_but_for_modalities_and_commands():
    by_name: dict[str, list[Path]] = {}
    for path in FILES:
        if path.name != "__init__.py" and package_of(path) != "cli":
            by_name.setdefault(path.name, []).append(path)
    twins = {path.name for path in (ROOT / "layers" / "embed").glob("*.py")}
    repeated = {
        name: paths
        for name, paths in by_name.items()
        if len(paths) > 1
        and not (name in twins and {package_of(p) for p in paths} == {"features", "layers"})
    }
    assert not repeated


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_above_four_hundred_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
