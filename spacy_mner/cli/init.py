"""`spacy-mner init`: writes a complete training config."""

from __future__ import annotations

from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from spacy.util import load_config
from wasabi import msg

from ..errors import UsageError
from .console import user_errors

# Placeholders of the paths that a training needs, in the order of the printed command.
PATHS = {
    "encoder": "FOLDER_OR_NAME",
    "train": "train.spacy",
    "dev": "dev.spacy",
    "images_root": "IMAGES",
}


class Kind(str, Enum):
    """A template in `spacy_mner/templates`."""

    base = "base"
    trf = "trf"


def init_cli(
    output: Annotated[Path, typer.Argument(metavar="OUT.cfg", help="File to write.")],
    kind: Annotated[
        Kind,
        typer.Option(help="base: BiLSTM-CRF; trf: transformer with cross-modal attention."),
    ] = Kind.base,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a complete config with the reader that keeps images (spaCy's own drops them)."""
    with user_errors():
        write_template(kind.value, output, force=force)
    msg.good(f"Wrote {output}. Train with:")
    # Printed without `msg`, which wraps long lines.
    typer.echo(train_command(output))


def write_template(kind: str, output: Path, *, force: bool = False) -> None:
    """Write a template. Raises UsageError if the output is a folder or, without force, exists."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder: name a file, such as {output / 'mner.cfg'}.")
    if output.exists() and not force:
        raise UsageError(f"{output} exists: use --force to overwrite it.")
    text = (files("spacy_mner") / "templates" / f"{kind}.cfg").read_text(encoding="utf-8")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")


def train_command(config: Path) -> str:
    """Return the `spacy train` command with the paths that the config has."""
    names = load_config(config, interpolate=False)["paths"]
    paths = " ".join(f"--paths.{name} {value}" for name, value in PATHS.items() if name in names)
    return f"spacy train {config} {paths} -o training"
