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
    system: Annotated[
        str | None,
        typer.Option(help="A system by name, such as wc-lample of Moon et al. 2018, table 1."),
    ] = None,
    setting: Annotated[
        str | None,
        typer.Option(help="paper: sizes and optimiser of Moon et al. 2018; modern: ours."),
    ] = None,
) -> None:
    """Write a complete config with the reader that keeps pictures (spaCy's own drops them)."""
    with user_errors():
        init(output, kind=kind, force=force, system=system, setting=setting)
    msg.good(f"Wrote {output}. Train with:")
    # Not by `msg`, which breaks long lines.
    typer.echo(f"spacy train {output} --paths.train train.spacy --paths.dev dev.spacy -o training")


def init(
    output: Path,
    *,
    kind: str = "base",
    force: bool = False,
    system: str | None = None,
    setting: str | None = None,
) -> None:
    """Write a template, or what a system or a setting makes of the base.

    Raises CorpusError for a name that there is not and for a file that is there.
    """
    found = {name.removesuffix(SUFFIX): text for name, text in _templates().items()}
    if kind not in found:
        raise CorpusError(f"There is no config {kind!r}; there is {', '.join(sorted(found))}.")
    if system is None and setting is None:
        text = found[kind]
    elif kind == "base":
        text = _system(system, setting or "modern")
    else:
        raise CorpusError("--system and --setting are made of the base: leave --kind out.")
    if output.exists() and not force:
        raise CorpusError(f"{output} is there already; --force overwrites it.")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")


def _system(system: str | None, setting: str) -> str:
    from ..experiments.systems import SYSTEMS, system_config

    config = system_config(system, setting).to_str()
    name = "W + C + V" if system is None else f"{SYSTEMS[system].modalities}, {system}"
    return (
        f"# {name}, setting {setting} (Moon et al. 2018).\n"
        f"# Made by `spacy-mner init`; train with `spacy train`.\n\n{config}\n"
    )


def _templates() -> dict[str, str]:
    folder = files("spacy_mner") / "templates"
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(SUFFIX)
    }
