"""`spacy-mner explain`: a page that shows, post by post, where the image helps."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import CorpusError
from .console import user_errors

if TYPE_CHECKING:
    from ..visualize.explain import Explanation

SUFFIXES = (".html", ".htm")


def explain_cli(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Package name or folder of a pipeline.")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA.spacy", help="Annotated posts.")],
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT.html", help="The page to write; it holds the images, made small."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Another pipeline to compare with; else the same one without its images.",
        ),
    ] = None,
    images_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder from which relative image paths are taken; none outside it is shown."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Show so many posts (0: all).")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts per batch.")] = 128,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Write a page of posts: image, annotation, predictions, and attention token by token."""
    from ..corpus.docbin import read_docs
    from ..errors import ImageWarning
    from ..pipeline.loading import load_pipeline
    from ..visualize.explain import explain
    from ..visualize.explain_page import Names, render
    from ..visualize.visible_names import shown

    with user_errors(), warnings.catch_warnings():
        # The page says it of each post.
        warnings.simplefilter("ignore", ImageWarning)
        if output.suffix.lower() not in SUFFIXES:
            raise CorpusError(f"{output}: the page to write ends in {' or '.join(SUFFIXES)}.")
        nlp = load_pipeline(model, gpu_id)
        other = None if against is None else load_pipeline(against, gpu_id)
        docs = read_docs(data, nlp.vocab, images_root)
        explanation = explain(
            nlp, docs, other, batch_size=batch_size, limit=limit, images_below=images_root
        )
        names = Names(shown(model), shown(data), None if against is None else shown(against))
        page = render(explanation, names)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8", newline="\n")
    show(explanation)
    wrote, lacking = f"Wrote {output} ({len(page.encode()) / 1e6:,.1f} MB).", lacks(explanation)
    if lacking:
        msg.info(wrote)
        msg.warn(lacking)
    else:
        msg.good(wrote)


def lacks(explanation: Explanation) -> str:
    """Why a page shows nothing of what images are worth, and the remedy; "" where it does."""
    kinds = set(explanation.images)
    # Text about images is no image, but can be seen to help as well.
    is_compared = any(post.verdict not in ("unseen", "unjudged") for post in explanation.posts)
    if not explanation.posts or is_compared or kinds & {"used", "used in part"}:
        return ""
    nothing = "This page cannot show what images are worth:"
    if "unreadable" in kinds:
        status = next(p.status for p in explanation.posts if p.status.startswith("unreadable"))
        told = f"{nothing} none could be used, the first is {status}."
        is_lost = "no such file" in status
        return f"{told} --images-root names the folder of their paths." if is_lost else told
    if kinds == {"absent"}:
        return f"{nothing} no post has one. `spacy-mner convert` attaches them by --images-root."
    if explanation.own_ablation:
        return f"{nothing} MODEL uses none. --against names another model to compare it with."
    return f"{nothing} MODEL uses none. Give the one that does as MODEL, this one as --against."


def show(explanation: Explanation) -> None:
    """Print the number of posts by verdict."""
    from ..visualize.explain_page import VERDICTS

    rows = [("posts", f"{len(explanation.posts):,}")]
    rows += [(name, f"{explanation.counts[verdict]:,}") for verdict, (_, name) in VERDICTS.items()]
    rows.append(("left out: no token", f"{explanation.skipped:,}"))
    rows += [(f"images {kind}", f"{n:,}") for kind, n in explanation.images.items()]
    msg.table(rows, aligns=("l", "r"))
