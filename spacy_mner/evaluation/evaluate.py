"""Evaluation of a pipeline on annotated posts, with and without their images."""

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

from ..corpus.predicted import SpanAlignment, make_predicted
from ..extensions import has_image
from ..features.image_status import ImageStatus
from .image_ablation import ImageCondition, set_images
from .scorer import score_entities


@dataclass(frozen=True)
class Prediction:
    """Predictions of a pipeline for annotated posts.

    examples: predicted and annotated Docs; posts without tokens are left out.
    alignment: of the gold spans with the tokens on which the pipeline ran.
    images, seed, gold_preproc: the arguments of `predict`.
    seconds: run time of the pipeline.
    """

    examples: list[Example]
    alignment: SpanAlignment
    images: ImageCondition
    seed: int
    gold_preproc: bool
    seconds: float


def evaluate(nlp: Language, docs: Iterable[Doc], **options: Any) -> dict[str, Any]:
    """Run a pipeline on annotated posts and score it: `score_prediction` of `predict`."""
    return score_prediction(predict(nlp, docs, **options))


def predict(
    nlp: Language,
    docs: Iterable[Doc],
    *,
    images: ImageCondition = "on",
    seed: int = 0,
    batch_size: int = 128,
    gold_preproc: bool = False,
) -> Prediction:
    """Run a pipeline on annotated posts, which are not modified.

    images, seed: see `set_images`.
    gold_preproc: see `make_predicted`.

    Raises ShuffleError if the images cannot be shuffled.
    """
    references = [doc for doc in docs if len(doc)]
    inputs = [make_predicted(doc, nlp, gold_preproc) for doc in references]
    alignment = SpanAlignment()
    for example in map(Example, inputs, references):
        alignment.update(example)
    set_images(inputs, images, seed=seed, images_root=images_root_of(nlp))
    start = time.perf_counter()
    predicted = list(nlp.pipe(inputs, batch_size=batch_size))
    seconds = time.perf_counter() - start
    examples = list(map(Example, predicted, references))
    return Prediction(examples, alignment, images, seed, gold_preproc, seconds)


def score_prediction(prediction: Prediction) -> dict[str, Any]:
    """Score predictions.

    Returns a JSON-serializable dict: the scores of `score_entities`; `tokenization` ("pipeline" or
    "gold"), `spans` and `misaligned_spans`; `posts`, `posts_with_image`, `tokens` (annotated
    ones); `image_status`, the number of posts by category; `seconds` and
    `words_per_second`.
    """
    references = [example.reference for example in prediction.examples]
    tokens = sum(map(len, references))
    return {
        "images": prediction.images,
        "seed": prediction.seed,
        "tokenization": "gold" if prediction.gold_preproc else "pipeline",
        "posts": len(references),
        "posts_with_image": sum(map(has_image, references)),
        "tokens": tokens,
        "spans": prediction.alignment.spans,
        "misaligned_spans": prediction.alignment.misaligned,
        **score_entities(prediction.examples),
        "image_status": count_status(example.predicted for example in prediction.examples),
        "seconds": prediction.seconds,
        "words_per_second": tokens / prediction.seconds if prediction.seconds else None,
    }


def images_root_of(nlp: Language) -> Path | None:
    """Return the folder against which a pipeline resolves relative image paths."""
    roots = (getattr(pipe, "images_root", None) for _, pipe in nlp.pipeline)
    return next((Path(root) for root in roots if root is not None), None)


def count_status(docs: Iterable[Doc]) -> dict[str, int]:
    """Count posts by the category of their image status, most frequent first."""
    statuses = (doc._.image_status for doc in docs)
    counts = Counter(ImageStatus.parse(status).category for status in statuses if status)
    return dict(counts.most_common())
