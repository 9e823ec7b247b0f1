"""`spacy-mner init`: writes a complete training config."""

from __future__ import annotations

from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from spacy.util import load_config
from thinc.api import Config
from wasabi import msg

from ..errors import UsageError
from .console import user_errors
from .init_from import config_from_pipeline

# Placeholders of the paths that have no default, in the order of the printed command.
PATHS = {
    "train": "train.spacy",
    "dev": "dev.spacy",
    "images_root": "IMAGES",
}

ENGLISH = "en"
# Text encoders of the same width.
ENGLISH_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
MULTILINGUAL_ENCODER = "intfloat/multilingual-e5-small"

# Comments above the tokenizers of languages.
COMMENTS = {
    "zh": "# char: one token per character, as in CMNER and other corpora of Chinese posts. jieba\n"
    "# and pkuseg make words: they need a package, and a corpus with these words as tokens.\n"
}


class Kind(str, Enum):
    """A template in `spacy_mner/templates`."""

    base = "base"
    trf = "trf"
    cross_modal = "cross-modal"


def init_cli(
    output: Annotated[Path, typer.Argument(metavar="OUT.cfg", help="File to write.")],
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="base: BiLSTM-CRF (default); trf: transformer with modality attention; "
            "cross-modal: transformer with attention to regions of the image."
        ),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Language of the posts, whose tokenizer the pipeline uses; en by default. zh: one "
            "token per character, as in corpora of Chinese posts. ja, ko, th, vi need a package.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME_OR_FOLDER",
            help="Train this pipeline further, with the labels of your corpus.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a complete config with the reader that keeps images (spaCy's own drops them)."""
    with user_errors():
        check_output(output, force=force)
        if source is not None and (kind or lang):
            raise UsageError(
                "--kind and --lang do not go with --from: model, language and tokenizer are those "
                "of the pipeline."
            )
        text = (
            config_from_template((kind or Kind.base).value, lang or ENGLISH)
            if source is None
            else config_from_pipeline(source)
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    msg.good(f"Wrote {output}. Train with:")
    # Printed without `msg`, which wraps long lines.
    typer.echo(train_command(output))


def check_output(output: Path, *, force: bool) -> None:
    """Raise UsageError if the output is a folder or, without force, exists."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder: name a file, such as {output / 'mner.cfg'}.")
    if output.exists() and not force:
        raise UsageError(f"{output} exists: use --force to overwrite it.")


def config_from_template(kind: str, lang: str) -> str:
    """Return the config of a kind for a language.

    Raises UsageError for a language that spaCy does not have, or whose tokenizer needs a package
    that is not installed.
    """
    text = (files("spacy_mner") / "templates" / f"{kind}.cfg").read_text(encoding="utf-8")
    return set_language(text, lang)


def set_language(template: str, lang: str) -> str:
    """Replace the language of a template, its tokenizer and its text encoder."""
    from ..corpus.convert import blank_pipeline

    config = blank_pipeline(lang).config
    code = config["nlp"]["lang"]
    text = template.replace(f'lang = "{ENGLISH}"', f'lang = "{code}"')
    if code != ENGLISH:
        text = text.replace(ENGLISH_ENCODER, MULTILINGUAL_ENCODER)
    for section in ("nlp", "initialize"):
        header = f"[{section}.tokenizer]\n"
        block = Config({section: {"tokenizer": config[section]["tokenizer"]}}).to_str() + "\n"
        comment = COMMENTS.get(code, "") if section == "nlp" else ""
        before, _, after = text.partition(header)
        text = before + comment + block[block.index(header) :] + after[after.find("\n\n") + 1 :]
    return text


def train_command(config: Path) -> str:
    """Return the `spacy train` command with the paths that the config has."""
    names = load_config(config, interpolate=False)["paths"]
    paths = " ".join(f"--paths.{name} {value}" for name, value in PATHS.items() if name in names)
    return f"spacy train {config} {paths} -o training"
