"""`spacy-mner explain`: a page that shows, post by post, where the image helps."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import UsageError
from .console import user_errors
from .options import BatchSize, Code, Data, GpuId, Model, check_images_root

if TYPE_CHECKING:
    from ..visualize.explain import Explanation

SUFFIXES = (".html", ".htm")


def explain_cli(
    model: Model,
    data: Data,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT.html", help="The page to write; it contains the images."),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Pipeline to compare with; by default MODEL without the images.",
        ),
    ] = None,
    images_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that relative image paths are resolved against; the page shows no image "
            "outside of it."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Number of posts to show (0: all).")] = 0,
    batch_size: BatchSize = 128,
    gpu_id: GpuId = -1,
    code: Code = None,
) -> None:
    """Write a page with the image, gold entities, predictions and attention of every post."""
    from ..corpus.docbin import read_docs
    from ..errors import ImageWarning
    from ..pipeline.load_for_command import load_pipeline
    from ..visualize.explain import explain
    from ..visualize.explain_page import Names, render_explanation
    from ..visualize.private_paths import public_path

    with user_errors(), warnings.catch_warnings():
        # The page shows the image status of each post.
        warnings.simplefilter("ignore", ImageWarning)
        if output.suffix.lower() not in SUFFIXES:
            raise UsageError(f"The name of the page must end in .html or .htm, got {output}.")
        check_images_root(images_root)
        nlp = load_pipeline(model, gpu_id, code)
        other = None if against is None else load_pipeline(against, gpu_id)
        docs = read_docs(data, nlp.vocab, images_root)
        explanation = explain(
            nlp, docs, other, batch_size=batch_size, limit=limit, allowed_folder=images_root
        )
        other_name = None if against is None else public_path(against)
        page = render_explanation(
            explanation, Names(public_path(model), public_path(data), other_name)
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8", newline="\n")
    show(explanation)
    written = f"Wrote {output} ({len(page.encode()) / 1000:,.0f} kB)."
    if problem := no_images(explanation):
        msg.info(written)
        msg.warn(problem)
    else:
        msg.good(written)


def no_images(explanation: Explanation) -> str:
    """Return why no post shows an effect of its image, and the remedy; "" where one does."""
    from ..features.image_status import ABSENT, IN_PART, UNREADABLE, USED

    kinds = set(explanation.images)
    # A post without an image can still have text about one.
    is_compared = any(post.verdict not in ("no-image", "unannotated") for post in explanation.posts)
    if not explanation.posts or is_compared or kinds & {USED, IN_PART}:
        return ""
    problem = "The page cannot show the effect of images:"
    if UNREADABLE in kinds:
        statuses = (post.status for post in explanation.posts)
        first = next(status for status in statuses if status and status.kind == UNREADABLE)
        return (
            f"{problem} none could be used; the first is {first}. Relative paths are resolved "
            "against --images-root."
        )
    if kinds == {ABSENT}:
        return f"{problem} no post has one. Attach them with `spacy-mner convert --images-root`."
    if explanation.image_ablation:
        return f"{problem} MODEL uses none. Compare it with another model by --against."
    return f"{problem} MODEL uses none. Swap MODEL and --against."


def show(explanation: Explanation) -> None:
    """Print the number of posts by verdict and by image status."""
    from ..visualize.explain_page import VERDICTS

    rows = [("posts", f"{len(explanation.posts):,}")]
    rows += [(name, f"{explanation.counts[verdict]:,}") for verdict, (_, name) in VERDICTS.items()]
    rows.append(("skipped: no tokens", f"{explanation.skipped:,}"))
    rows += [(f"images {kind}", f"{n:,}") for kind, n in explanation.images.items()]
    msg.table(rows, aligns=("l", "r"))
