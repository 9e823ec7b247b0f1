"""Scores of a pipeline on posts, with their pictures or without."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..corpus.reader import without_annotation
from ..extensions import has_image
from .ablation import Pictures, set_pictures
from .scorer import score_entities


def evaluate(
    nlp: Language,
    docs: Iterable[Doc],
    *,
    pictures: Pictures = "on",
    seed: int = 0,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Run a pipeline over annotated posts and score it. The posts stay as they are.

    docs: gold tokens and entities, and a picture where there is one.
    pictures, seed: see `set_pictures`.
    Returns what JSON takes: the scores of `score_entities`; `posts` (those with tokens),
    `posts_with_picture`, `tokens`; `image_status`, the number of posts by what became of their
    picture ("used", "used in part", "absent", "unreadable", …); `seconds`, `words_per_second`.
    Raises ShuffleError where pictures cannot be shuffled.
    """
    gold = [doc for doc in docs if len(doc)]
    bare = [without_annotation(doc, nlp) for doc in gold]
    set_pictures(bare, pictures, seed=seed, images_root=_images_root(nlp))
    start = time.perf_counter()
    predicted = list(nlp.pipe(bare, batch_size=batch_size))
    seconds = time.perf_counter() - start
    examples = [Example(x, y) for x, y in zip(predicted, gold, strict=True)]
    tokens = sum(map(len, gold))
    return {
        "pictures": pictures,
        "seed": seed,
        "posts": len(gold),
        "posts_with_picture": sum(map(has_image, gold)),
        "tokens": tokens,
        **score_entities(examples),
        "image_status": count_status(predicted),
        "seconds": seconds,
        "words_per_second": tokens / seconds if seconds else None,
    }


def _images_root(nlp: Language) -> Path | None:
    """The folder from which a pipeline takes relative picture paths."""
    roots = (getattr(pipe, "images_root", None) for _, pipe in nlp.pipeline)
    return next((Path(root) for root in roots if root is not None), None)


def count_status(docs: Iterable[Doc]) -> dict[str, int]:
    """Count posts by what became of their picture, reasons left aside."""
    kinds = Counter(_kind(doc._.image_status) for doc in docs if doc._.image_status)
    return dict(kinds.most_common())


def _kind(status: str) -> str:
    return "used in part" if status.startswith("used ") else status.partition(":")[0]
