"""`spacy-mner explain`: a page that shows, post by post, where the picture helps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..corpus.errors import CorpusError
from .evaluate import load
from .messages import user_errors

if TYPE_CHECKING:
    from ..report.explain import Explanation

SUFFIXES = (".html", ".htm")


def explain_cli(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Package name or folder of a pipeline.")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA.spacy", help="Annotated posts.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another pipeline to compare with; else the same one without its pictures.",
        ),
    ] = None,
    images_root: Annotated[
        Path | None, typer.Option(help="Folder from which relative picture paths are taken.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show so many posts (0: all).")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts per batch.")] = 128,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Write a page of posts: picture, annotation, predictions, and attention token by token."""
    from spacy.cli._util import setup_gpu

    from ..corpus.docbin import read_docs
    from ..report.explain import explain
    from ..report.explain_page import Names, render

    setup_gpu(gpu_id, silent=True)
    with user_errors():
        if output.suffix.lower() not in SUFFIXES:
            raise CorpusError(f"{output}: the page to write ends in {' or '.join(SUFFIXES)}.")
        nlp = load(model)
        other = None if against is None else load(against)
        docs = read_docs(data, nlp.vocab, images_root)
        explanation = explain(nlp, docs, other, batch_size=batch_size, limit=limit)
        page = render(explanation, Names(model, str(data), against))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8", newline="\n")
    show(explanation)
    msg.good(f"Wrote {output} ({len(page.encode()) / 1e6:,.1f} MB).")


def show(explanation: Explanation) -> None:
    """Print the number of posts by verdict."""
    from ..report.explain_page import VERDICTS

    rows = [("posts", f"{len(explanation.posts):,}")]
    rows += [(name, f"{explanation.counts[verdict]:,}") for verdict, (_, name) in VERDICTS.items()]
    rows.append(("left out: no token", f"{explanation.skipped:,}"))
    msg.table(rows, aligns=("l", "r"))
