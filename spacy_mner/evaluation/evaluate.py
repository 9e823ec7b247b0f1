"""Evaluation of a pipeline on annotated posts, with and without their images."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..corpus.predicted import SpanAlignment, make_joined, make_predicted
from ..extensions import has_image
from ..features.image_status import ABSENT, IGNORED, ImageStatus
from .image_ablation import ImageCondition, set_images
from .scorer import score_entities

Tokens = Literal["gold", "pipeline"]


@dataclass(frozen=True)
class Prediction:
    """Predictions of a pipeline for annotated posts.

    examples: predicted and annotated Docs; posts without tokens are left out.
    alignment: of the gold spans with the tokens on which the pipeline ran.
    images, seed: the arguments of `predict`.
    tokens: "gold" or "pipeline", the tokens on which the pipeline ran.
    seconds: run time of the pipeline.
    """

    examples: list[Example]
    alignment: SpanAlignment
    images: ImageCondition
    seed: int
    tokens: Tokens
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
    tokens: Tokens | None = None,
) -> Prediction:
    """Run a pipeline on annotated posts, which are not modified.

    images, seed: see `set_images`.
    tokens: "gold" tokens, or those of the "pipeline", for which the words of a post without known
        spaces are joined by `join_words`. None: those of the pipeline where the spaces are known.

    Raises ShuffleError if the images cannot be shuffled.
    """
    references = [doc for doc in docs if len(doc)]
    if tokens is None and all(doc.has_unknown_spaces for doc in references):
        tokens = "gold"
    inputs = [_make_input(doc, nlp, tokens) for doc in references]
    alignment = SpanAlignment()
    for example in map(Example, inputs, references):
        alignment.update(example)
    set_images(inputs, images, seed=seed, images_root=images_root_of(nlp))
    start = time.perf_counter()
    predicted = list(nlp.pipe(inputs, batch_size=batch_size))
    seconds = time.perf_counter() - start
    examples = list(map(Example, predicted, references))
    return Prediction(examples, alignment, images, seed, tokens or "pipeline", seconds)


def _make_input(reference: Doc, nlp: Language, tokens: Tokens | None) -> Doc:
    if tokens == "pipeline" and reference.has_unknown_spaces:
        return make_joined(reference, nlp)
    return make_predicted(reference, nlp, gold_preproc=tokens == "gold")


def score_prediction(prediction: Prediction) -> dict[str, Any]:
    """Score predictions.

    Returns a JSON-serializable dict: the scores of `score_entities`; `tokenization` ("pipeline" or
    "gold"), `spans` and `misaligned_spans`; `posts`, `posts_with_image`, `tokens` (annotated
    ones); `image_status`, the number of posts by category; `first_image_problem`, why an image of
    the first post whose images were not all used was not (None: all were); `seconds` and
    `words_per_second`.
    """
    references = [example.reference for example in prediction.examples]
    predicted = [example.predicted for example in prediction.examples]
    tokens = sum(map(len, references))
    return {
        "images": prediction.images,
        "seed": prediction.seed,
        "tokenization": prediction.tokens,
        "posts": len(references),
        "posts_with_image": sum(map(has_image, references)),
        "tokens": tokens,
        "spans": prediction.alignment.spans,
        "misaligned_spans": prediction.alignment.misaligned,
        **score_entities(prediction.examples),
        "image_status": count_status(predicted),
        "first_image_problem": next(_image_problems(predicted), None),
        "seconds": prediction.seconds,
        "words_per_second": tokens / prediction.seconds if prediction.seconds else None,
    }


def images_root_of(nlp: Language) -> Path | None:
    """Return the folder against which a pipeline resolves relative image paths."""
    roots = (getattr(pipe, "images_root", None) for _, pipe in nlp.pipeline)
    return next((Path(root) for root in roots if root is not None), None)


def _image_problems(docs: Iterable[Doc]) -> Iterator[str]:
    """Yield the reasons why images were not used, except those that no modality reads."""
    for doc in docs:
        status = ImageStatus.parse(doc._.image_status or ABSENT)
        yield from () if status.kind == IGNORED else status.reasons


def count_status(docs: Iterable[Doc]) -> dict[str, int]:
    """Count posts by the category of their image status, most frequent first."""
    statuses = (doc._.image_status for doc in docs)
    counts = Counter(ImageStatus.parse(status).category for status in statuses if status)
    return dict(counts.most_common())
