"""Scores of a pipeline on posts, with their images or without."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..extensions import has_image
from ..training.reader import without_annotation
from .image_ablation import Images, set_images
from .scorer import score_entities


@dataclass(frozen=True)
class Prediction:
    """What a pipeline said of annotated posts.

    examples: a post each, those without tokens left out; the annotated one is its reference.
    images, seed: what the posts were shown with, see `set_images`.
    seconds: how long the pipeline took.
    """

    examples: list[Example]
    images: Images
    seed: int
    seconds: float


def evaluate(
    nlp: Language,
    docs: Iterable[Doc],
    *,
    images: Images = "on",
    seed: int = 0,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Run a pipeline over annotated posts and score it: `predict`, then `score_prediction`."""
    return score_prediction(predict(nlp, docs, images=images, seed=seed, batch_size=batch_size))


def predict(
    nlp: Language,
    docs: Iterable[Doc],
    *,
    images: Images = "on",
    seed: int = 0,
    batch_size: int = 128,
) -> Prediction:
    """Run a pipeline over annotated posts. The posts stay as they are.

    docs: gold tokens and entities, and an image where there is one.
    images, seed: see `set_images`.
    Raises ShuffleError where images cannot be shuffled.
    """
    gold = [doc for doc in docs if len(doc)]
    bare = [without_annotation(doc, nlp) for doc in gold]
    set_images(bare, images, seed=seed, images_root=images_root_of(nlp))
    start = time.perf_counter()
    predicted = list(nlp.pipe(bare, batch_size=batch_size))
    seconds = time.perf_counter() - start
    examples = [Example(x, y) for x, y in zip(predicted, gold, strict=True)]
    return Prediction(examples, images, seed, seconds)


def score_prediction(prediction: Prediction) -> dict[str, Any]:
    """Score a prediction.

    Returns what JSON takes: the scores of `score_entities`; `posts` (those with tokens),
    `posts_with_image`, `tokens`; `image_status`, the number of posts by what became of their
    image ("used", "used in part", "absent", "unreadable", …); `seconds`, `words_per_second`.
    """
    gold = [example.reference for example in prediction.examples]
    tokens = sum(map(len, gold))
    return {
        "images": prediction.images,
        "seed": prediction.seed,
        "posts": len(gold),
        "posts_with_image": sum(map(has_image, gold)),
        "tokens": tokens,
        **score_entities(prediction.examples),
        "image_status": count_status(example.predicted for example in prediction.examples),
        "seconds": prediction.seconds,
        "words_per_second": tokens / prediction.seconds if prediction.seconds else None,
    }


def images_root_of(nlp: Language) -> Path | None:
    """The folder from which a pipeline takes relative image paths."""
    roots = (getattr(pipe, "images_root", None) for _, pipe in nlp.pipeline)
    return next((Path(root) for root in roots if root is not None), None)


def count_status(docs: Iterable[Doc]) -> dict[str, int]:
    """Count posts by what became of their image, reasons left aside."""
    kinds = Counter(status_kind(doc._.image_status) for doc in docs if doc._.image_status)
    return dict(kinds.most_common())


def status_kind(status: str) -> str:
    """What an image status says, without its reasons: "used", "used in part", "absent", …"""
    return "used in part" if status.startswith("used ") else status.partition(":")[0]
