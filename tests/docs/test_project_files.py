"""The files beside README.md that name versions and commands agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import srsly

from spacy_mner import __version__

ROOT = Path(__file__).parents[2]


def test_the_citation_and_the_changelog_have_the_version_of_the_package():
    assert srsly.read_yaml(ROOT / "CITATION.cff")["version"] == __version__
    releases = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert releases[0] == __version__


def test_the_hooks_of_a_commit_are_the_checks_of_the_set_up_command():
    hooks = srsly.read_yaml(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [command] = [line for line in readme.splitlines() if line.startswith("pip install '.[dev]'")]
    checks = [part.strip().removesuffix(" .") for part in command.split("&&")]
    for hook in hooks:
        assert hook["entry"].removesuffix(" --fix") in [*checks, "ruff format"]


def test_ci_executes_the_set_up_commands_of_the_readme_verbatim():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for start in ("pip install . && ", "pip install '.[dev]' && "):
        [command] = [line for line in readme.splitlines() if line.startswith(start)]
        assert command in ci
