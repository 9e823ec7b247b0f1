"""Hooks of mkdocs: pages generated from the code, pages of other folders, and links to them.

`mkdocs.yml` names this file; `mkdocs build` calls `on_files` and `on_page_markdown`.
"""

from __future__ import annotations

import inspect
import json
import posixpath
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from spacy.language import Language

from docstrings import parse

ROOT = Path(__file__).parents[1]

# Page of the site → file outside of docs/ that it shows.
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "reproduction.md": "experiments/README.md",
    "sample_corpus.md": "assets/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "pretrained.md": "pipelines/README.md",
} | {
    f"{card.parent.name}.md": card.relative_to(ROOT).as_posix()
    for card in sorted(ROOT.glob("pipelines/*/README.md"))
}
TUTORIALS = sorted(ROOT.glob("docs/tutorials/*.py"))

# Group of entry points → heading, and where the block of the config is.
REGISTRIES = {
    "spacy_factories": ("Components", "`[components.NAME]`, `factory = …`"),
    "spacy_architectures": ("Models", "`[components.multimodal_ner.model]`, `@architectures = …`"),
    "spacy_image_encoders": (
        "Image encoders",
        "`[components.multimodal_ner.model.embed.image.encoder]`, `@image_encoders = …`",
    ),
    "spacy_object_detectors": (
        "Object detectors",
        "`[components.image_objects.detector]`, `@object_detectors = …`",
    ),
    "spacy_image_readers": (
        "Image readers",
        "`[components.image_text.reader]`, `@image_readers = …`",
    ),
    "spacy_readers": ("Corpora", "`[corpora.train]`, `@readers = …`"),
    "spacy_tokenizers": ("Tokenizers", "`[nlp.tokenizer]`, `@tokenizers = …`"),
    "thinc_optimizers": ("Optimizers", "`[training.optimizer]`, `@optimizers = …`"),
    "spacy_callbacks": ("Callbacks", "`@callbacks = …`"),
    "spacy_scorers": ("Scorers", "`[components.multimodal_ner.scorer]`, `@scorers = …`"),
}
# Annotations → types of a config.
TYPES = {
    "None": "null",
    "Any": "block",
    "Mapping": "dict",
    "Regions": "Literal['global', 'grid']",
    "FloatOrSeq": "float | schedule",
    "Path": "str",
}
CONFIGURATION = """# Configuration

Generated from the signatures and docstrings of the registered functions. `spacy-mner init` writes a
complete config, which sets some arguments differently from their defaults. Sizes are at least 1. An
argument without a default is required, or is a block of the config.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of docs/."""
    contents = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in PAGES.items()}
    contents |= {f"tutorials/{one.stem}.md": tutorial(one) for one in TUTORIALS}
    contents |= {"configuration.md": configuration(), "commands.md": commands()}
    for page, content in contents.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page, which are those of the repository, to pages of the site."""
    here = page.file.src_uri
    return relink(markdown, PAGES.get(here, f"docs/{here}"), here)


def relink(markdown: str, source: str, page: str) -> str:
    """Return a page with the links of `source` as seen from `page`.

    source: path in the repository. A link to a file that is no page becomes its text.
    """
    pages = {path: name for name, path in PAGES.items()}

    def replace(match: re.Match) -> str:
        target, hash_sign, anchor = match["target"].partition("#")
        if ":" in target or not target:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        name = pages.get(path) or pages.get(f"{path}/README.md")
        if name is None and path.startswith("docs/"):
            name = path.removeprefix("docs/")
            name = re.sub(r"^(tutorials/.*)\.py$", r"\1.md", name)
        if name is None:
            return match["text"] if (ROOT / path).exists() else match[0]
        relative = posixpath.relpath(name, posixpath.dirname(page) or ".")
        return f"{match['sign']}[{match['text']}]({relative}{hash_sign}{anchor})"

    link = re.compile(r"(?P<sign>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(p if p.startswith("```") else link.sub(replace, p) for p in parts)


def tutorial(path: Path) -> str:
    """Return a script of cells (`# %%`, and `# %% [markdown]` for text) as Markdown."""
    cells = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    blocks = []
    for kind, content in zip(cells[1::2], cells[2::2], strict=True):
        if "[markdown]" in kind:
            blocks.append(re.sub(r"^# ?", "", content.strip(), flags=re.MULTILINE))
        else:
            blocks.append(f"```python\n{content.strip()}\n```")
    return "\n\n".join(blocks)


def commands() -> str:
    """Return the page of the command line, as typer writes it."""
    command = [sys.executable, "-m", "typer", "spacy_mner.cli.app", "utils", "docs"]
    command += ["--name", "spacy-mner", "--title", "Commands"]
    page = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Placeholders such as <EOS> are no markup.
    parts = re.split(r"(```.*?```|`[^`]*`)", page, flags=re.DOTALL)
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;") for p in parts)


def configuration() -> str:
    """Return the page of all registered functions, their arguments and defaults."""
    page = [CONFIGURATION]
    for group, (heading, place) in REGISTRIES.items():
        ours = [one for one in entry_points(group=group) if one.value.startswith("spacy_mner.")]
        if ours:
            page.append(f"## {heading}\n\n{place}\n")
        describe = _component if group == "spacy_factories" else _function
        page += [describe(one) for one in _in_order_of_source(ours)]
    return "\n".join(page)


def _in_order_of_source(registered: list[EntryPoint]) -> Iterator[EntryPoint]:
    lines = (ROOT / "setup.cfg").read_text(encoding="utf-8").splitlines()
    order = {line.partition("=")[0].strip(): number for number, line in enumerate(lines)}
    return iter(sorted(registered, key=lambda one: order.get(one.name, len(order))))


def _function(registered: EntryPoint) -> str:
    function = registered.load()
    return _entry(registered.name, function, inspect.signature(function), _stage(function))


def _stage(function: Callable) -> str:
    """Return the block of the model that a builder of `model` is for."""
    kind = inspect.signature(function).return_annotation
    if kind == "Modality":
        return "Block `model.embed.NAME`."
    return f"Block `model.{function().stage}`." if kind == "Stage" else ""


def _component(registered: EntryPoint) -> str:
    factory = registered.load()
    defaults = Language.get_factory_meta(registered.name).default_config or {}
    parameters = [
        parameter.replace(default=defaults.get(name, parameter.default))
        for name, parameter in inspect.signature(factory).parameters.items()
        if name not in ("nlp", "name")
    ]
    # A default of the config may precede an argument without one.
    signature = inspect.Signature(parameters, __validate_parameters__=False)
    entry = _entry(registered.name, factory, signature)
    initialize = getattr(_returned_class(factory), "initialize", None)
    if initialize is None:
        return entry
    signature = inspect.signature(initialize)
    hidden = ("self", "get_examples", "nlp")
    kept = [one for one in signature.parameters.values() if one.name not in hidden]
    place = f"`[initialize.components.{registered.name}]`:\n"
    _, meanings = parse(initialize.__doc__ or "", [one.name for one in kept])
    return f"{entry}\n{place}\n{_table(kept, meanings)}"


def _returned_class(factory: Callable) -> Any:
    name = inspect.signature(factory).return_annotation
    return vars(inspect.getmodule(factory)).get(name)


def _entry(name: str, function: Callable, signature: inspect.Signature, stage: str = "") -> str:
    parameters = list(signature.parameters.values())
    prose, meanings = parse(function.__doc__ or "", [one.name for one in parameters])
    table = _table(parameters, meanings) if parameters else "No arguments.\n"
    return "\n\n".join(filter(None, (f"### `{name}`", stage, prose, table)))


def _table(parameters: list[inspect.Parameter], meanings: dict[str, str]) -> str:
    rows = []
    for one in parameters:
        meaning = re.sub(r"\bNone\b", "null", meanings.get(one.name, ""))
        rows.append(f"| `{one.name}` | {_type(one)} | {_default(one)} | {meaning} |")
    return "\n".join(["| argument | type | default | meaning |", "|-|-|-|-|", *rows, ""])


def _type(parameter: inspect.Parameter) -> str:
    """Return an annotation in the terms of a config."""
    text = str(parameter.annotation)
    for name, meaning in TYPES.items():
        text = re.sub(rf"\b{name}\b", meaning, text)
    text = re.sub(r"Literal\[(.*?)\]", lambda found: found[1].replace(", ", " | "), text)
    return " or ".join(f"`{one}`" for one in text.replace("'", '"').split(" | "))


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return ""
    return f"`{json.dumps(parameter.default)}`"
