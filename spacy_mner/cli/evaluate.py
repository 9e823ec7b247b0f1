"""`spacy-mner evaluate`: scores with images, without images, or with shuffled images."""

from __future__ import annotations

import warnings
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from wasabi import msg

from .console import user_errors
from .options import BatchSize, Code, Data, GpuId, ImagesRoot, Model, check_images_root

NOTHING = "–"


class ImagesChoice(str, Enum):
    """Which image the pipeline receives with a post."""

    on = "on"
    off = "off"
    shuffled = "shuffled"


class TokensChoice(str, Enum):
    """Which tokens the pipeline receives."""

    pipeline = "pipeline"
    gold = "gold"


def evaluate_cli(
    model: Model,
    data: Data,
    images: Annotated[
        ImagesChoice,
        typer.Option(help="Each post with its own image, none, or that of another post."),
    ] = ImagesChoice.on,
    tokens: Annotated[
        TokensChoice | None,
        typer.Option(
            help="Tokens of the pipeline's tokenizer, or gold tokens. By default, a corpus without "
            "known spaces (CoNLL) keeps its tokens; with `pipeline`, its words are joined.  "
            "[default: pipeline]"
        ),
    ] = None,
    images_root: ImagesRoot = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the scores as JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --images shuffled.")] = 0,
    batch_size: BatchSize = 128,
    gpu_id: GpuId = -1,
    code: Code = None,
) -> None:
    """Score a pipeline on annotated posts: entities with labels, and boundaries alone."""
    from ..corpus.docbin import read_docs
    from ..errors import ImageWarning
    from ..evaluation.evaluate import evaluate
    from ..pipeline.load_for_command import load_pipeline

    with user_errors(), warnings.catch_warnings():
        # The number of these images is printed below the scores.
        warnings.simplefilter("ignore", ImageWarning)
        check_images_root(images_root)
        nlp = load_pipeline(model, gpu_id, code)
        scores = evaluate(
            nlp,
            read_docs(data, nlp.vocab, images_root),
            images=images.value,
            seed=seed,
            batch_size=batch_size,
            tokens=tokens and tokens.value,
        )
        if output is not None:
            write(output, {"model": model, "data": str(data), **scores})
    show(scores)
    if output is not None:
        msg.good(f"Wrote {output}.")


def write(output: Path, scores: dict[str, Any]) -> None:
    """Write scores as JSON, creating the folder."""
    import srsly

    output.parent.mkdir(parents=True, exist_ok=True)
    srsly.write_json(output, scores)


def show(scores: dict[str, Any]) -> None:
    """Print scores in percent, then the numbers of posts, misaligned spans and image statuses."""
    rows = [
        (label, *_percent(score, ("p", "r", "f")))
        for label, score in sorted((scores["ents_per_type"] or {}).items())
    ]
    names = ("ents_p", "ents_r", "ents_f")
    rows.append(("all types", *_percent(scores, names)))
    if scores["without_mentions"]:
        rows.append(("without mentions", *_percent(scores["without_mentions"], names)))
    names = ("segmentation_p", "segmentation_r", "segmentation_f")
    rows.append(("segmentation", *_percent(scores, names)))
    msg.table(rows, header=("", "P", "R", "F1"), aligns=("l", "r", "r", "r"), divider=True)
    if scores["ents_f"] is None:
        msg.warn("The posts have no entity annotation: there is nothing to score.")
    if scores["misaligned_spans"]:
        aligned = 1 - scores["misaligned_spans"] / scores["spans"]
        msg.warn(
            f"{scores['misaligned_spans']:,} of {scores['spans']:,} gold spans do not align with "
            f"the tokens of the pipeline and cannot be found; {aligned:.1%} align."
        )
    status = ", ".join(f"{kind} {n:,}" for kind, n in scores["image_status"].items())
    _warn_of_images(scores)
    posts = f"{scores['posts']:,} posts, {scores['posts_with_image']:,} with an image"
    msg.text(f"{posts}; images {scores['images']}{f' ({status})' if status else ''}")
    if scores["words_per_second"]:
        msg.text(f"{scores['words_per_second']:,.0f} words per second")


def _percent(scores: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    return [NOTHING if scores[name] is None else f"{100 * scores[name]:.2f}" for name in names]


def _warn_of_images(scores: dict[str, Any]) -> None:
    from ..features.image_status import IN_PART, UNREADABLE

    reason = scores["first_image_problem"]
    if reason is not None:
        n = sum(scores["image_status"].get(name, 0) for name in (UNREADABLE, IN_PART))
        hint = ": --images-root names the folder" if reason.startswith("no such file") else ""
        msg.warn(
            f"{n:,} of {scores['posts_with_image']:,} posts have an image that was not used, e.g. "
            f"{reason}{hint}"
        )
