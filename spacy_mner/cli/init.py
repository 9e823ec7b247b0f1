"""`spacy-mner init`: a complete config to train from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..corpus.errors import CorpusError
from .messages import user_errors

SUFFIX = ".cfg"


def init_cli(
    output: Annotated[Path, typer.Argument(metavar="OUT.cfg", help="Where to write the config.")],
    kind: Annotated[str, typer.Option("--kind", help="Which of our configs.")] = "base",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a complete config with the reader that keeps pictures (spaCy's own drops them)."""
    with user_errors():
        init(output, kind=kind, force=force)
    msg.good(f"Wrote {output}. Train with:")
    # Not by `msg`, which breaks long lines.
    typer.echo(
        f"spacy train {output} --paths.train train.spacy --paths.dev valid.spacy -o training"
    )


def init(output: Path, *, kind: str = "base", force: bool = False) -> None:
    """Copy a template. Raises CorpusError for an unknown kind and for a file that is there."""
    found = {name.removesuffix(SUFFIX): text for name, text in _templates().items()}
    if kind not in found:
        raise CorpusError(f"There is no config {kind!r}; there is {', '.join(sorted(found))}.")
    if output.exists() and not force:
        raise CorpusError(f"{output} is there already; --force overwrites it.")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(found[kind], encoding="utf-8")


def _templates() -> dict[str, str]:
    folder = files("spacy_mner") / "templates"
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(SUFFIX)
    }
