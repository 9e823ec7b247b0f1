"""`spacy-mner init`: a complete config to train from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from spacy.util import load_config
from thinc.api import Config
from wasabi import msg

from ..errors import CorpusError
from .console import user_errors

SUFFIX = ".cfg"
BASE = "base"


def init_cli(
    output: Annotated[Path, typer.Argument(metavar="OUT.cfg", help="Where to write the config.")],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="base (the default) or trf, with a transformer for the text."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    system: Annotated[
        str | None,
        typer.Option(
            help="A system of `spacy-mner experiment` by name, such as wc-lample or trf-all."
        ),
    ] = None,
    setting: Annotated[
        str | None,
        typer.Option(
            help="paper: sizes and optimizer of Moon et al., for their systems; modern: ours."
        ),
    ] = None,
) -> None:
    """Write a complete config with the reader that keeps images (spaCy's own drops them)."""
    with user_errors():
        init(output, kind=kind, force=force, system=system, setting=setting)
    msg.good(f"Wrote {output}. Train with:")
    paths = " ".join(f"--paths.{name} {value}" for name, value in _paths(output).items())
    # Not by `msg`, which breaks long lines.
    typer.echo(f"spacy train {output} {paths} -o training")


def init(
    output: Path,
    *,
    kind: str | None = None,
    force: bool = False,
    system: str | None = None,
    setting: str | None = None,
) -> None:
    """Write a template, or what a system or a setting makes of one.

    kind: of the template; by default that of the system, and without one, the base.

    Raises CorpusError for a name that there is not, for a system of another kind, and for a file
    that is there.
    """
    if system is not None:
        text = _system(kind, system, setting or "modern")
    elif setting is not None:
        text = _setting(kind or BASE, setting)
    else:
        text = _template(kind or BASE)
    if output.is_dir():
        raise CorpusError(f"{output} is a folder: name the file, such as {output / 'mner.cfg'}.")
    if output.exists() and not force:
        raise CorpusError(f"{output} is there already; --force overwrites it.")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")


def _template(kind: str) -> str:
    found = {name.removesuffix(SUFFIX): text for name, text in _templates().items()}
    if kind not in found:
        raise CorpusError(f"There is no config {kind!r}; there is {', '.join(sorted(found))}.")
    return found[kind]


def _system(kind: str | None, system: str, setting: str) -> str:
    from ..experiments.systems import SYSTEMS, find, system_config

    found = find(SYSTEMS, system, "system")
    if kind not in (None, found.template):
        raise CorpusError(
            f"the system {system!r} is made of the config {found.template!r}, not {kind!r}: leave "
            "--kind out."
        )
    config = system_config(system, setting)
    return _with_head(config, found.template, f"{found.modalities}, {system}, setting {setting}")


def _setting(kind: str, setting: str) -> str:
    from ..experiments.compose import compose
    from ..experiments.systems import SETTINGS, find, setting_of

    find(SETTINGS, kind, "config")
    config = compose(setting_of(kind, setting), template=kind)
    return _with_head(config, kind, f"{kind}, setting {setting}")


def _with_head(config: Config, kind: str, name: str) -> str:
    from ..experiments.systems import PAPERS

    return (
        f"# {name} ({PAPERS[kind]}).\n"
        f"# Made by `spacy-mner init`; train with `spacy train`.\n\n{config.to_str()}\n"
    )


def _paths(output: Path) -> dict[str, str]:
    """What a training by a config has to be told, and no more."""
    from ..experiments.requirements import needs_vectors, opens_images

    config = load_config(output, interpolate=False)
    paths = {"encoder": "FOLDER_OR_NAME"} if "encoder" in config["paths"] else {}
    paths |= {"vectors": "VECTORS"} if needs_vectors(config) else {}
    paths |= {"train": "train.spacy", "dev": "dev.spacy"}
    return paths | ({"images_root": "IMAGES"} if opens_images(config) else {})


def _templates() -> dict[str, str]:
    folder = files("spacy_mner") / "templates"
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(SUFFIX)
    }
