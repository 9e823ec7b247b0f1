"""Compares two pipelines post by post, with images, gold entities, predictions and attention.

The page shows what figure 3 and table 2 of Moon et al. 2018 show for single posts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..evaluation.evaluate import count_status, images_root_of, predict
from ..evaluation.image_ablation import ImageCondition
from ..evaluation.scorer import score_entities
from ..extensions import POST_ID, has_image, has_image_text
from ..features import Featurizers
from ..features.image import ImageFeaturizer
from ..features.image_status import ABSENT, USED, ImageStatus
from ..images.encoders.image_encoder import ImageEncoder
from ..pipeline.multimodal_ner import MultimodalNER
from .annotated_text import AnnotatedText, annotate_gold, annotate_prediction
from .private_paths import redact_folders
from .region_attention import RegionAttention, region_attention
from .thumbnails import PostImages, Thumbnail, collect_images

# "no-image": the first pipeline used no image, so none can have helped or hurt.
Verdict = Literal["helped", "hurt", "both-wrong", "both-right", "no-image", "unannotated"]


@dataclass(frozen=True)
class Scores:
    """Entity scores of one pipeline in [0, 1]; None where nothing is annotated.

    correct_posts: number of posts whose predicted entities are exactly the gold ones.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    correct_posts: int


@dataclass(frozen=True)
class ModalityWeights:
    """Attention over modalities. weights: modality → one number in [0, 1] per predicted token."""

    tokens: list[str]
    weights: dict[str, list[float]]


@dataclass(frozen=True)
class ExplainedPost:
    """What the page shows of one post.

    number: position on the page, from 1. id: as the corpus names the post, may be empty.
    status: of the images under the first pipeline; None if it sets none.
    region_attention: of each entity of the first pipeline, per modality with regions.
    images: keys into `Explanation.thumbnails`.
    caption: `doc._.image_text`, may be empty.
    notes: why images are not shown or not used.
    """

    number: int
    id: str
    verdict: Verdict
    status: ImageStatus | None
    gold: AnnotatedText
    model: AnnotatedText
    against: AnnotatedText
    modality_weights: ModalityWeights | None
    region_attention: list[list[RegionAttention]]
    images: list[str]
    caption: str
    notes: list[str]


@dataclass(frozen=True)
class Explanation:
    """Two pipelines compared on a corpus.

    image_ablation: the second pipeline is the first one without images.
    skipped: number of posts without tokens, which are left out.
    images: number of posts by image status under the first pipeline.
    descriptors: number of posts with `doc._.image_features`.
    attention_bounds: see `MultimodalNER.attention_bounds`.
    """

    model: Scores
    against: Scores
    image_ablation: bool
    posts: list[ExplainedPost]
    thumbnails: dict[str, Thumbnail]
    skipped: int
    images: dict[str, int]
    descriptors: int
    attention_bounds: tuple[float, float] | None

    @property
    def counts(self) -> Counter[Verdict]:
        """Number of posts by verdict."""
        return Counter(post.verdict for post in self.posts)


def explain(
    nlp: Language,
    docs: Iterable[Doc],
    against: Language | None = None,
    *,
    batch_size: int = 128,
    limit: int = 0,
    allowed_folder: Path | None = None,
) -> Explanation:
    """Compare the predictions of two pipelines on annotated posts. The Docs are not changed.

    docs: with gold entities and images.
    against: the second pipeline; None: `nlp` without images.
    limit: number of posts to read (0: all).
    allowed_folder: image files outside this folder are not shown; None: all are.
    """
    gold, skipped = _take(docs, limit)
    tagger = next((pipe for _, pipe in nlp.pipeline if isinstance(pipe, MultimodalNER)), None)
    with ExitStack() as stack:
        if tagger:
            stack.callback(setattr, tagger, "annotate_attention", tagger.annotate_attention)
            tagger.annotate_attention = True
        first = predict(nlp, gold, batch_size=batch_size).examples
    other_images: ImageCondition = "on" if against else "off"
    second = predict(against or nlp, gold, images=other_images, batch_size=batch_size).examples
    featurizers = tagger.model.attrs["featurizers"] if tagger else Featurizers({})
    folders = (images_root_of(nlp), allowed_folder)
    images, thumbnails = collect_images(
        [doc._.image for doc in gold], _image_encoder(featurizers), *folders
    )
    posts = [
        _explain_post(number, *post, featurizers, folders)
        for number, post in enumerate(zip(first, second, images, strict=True), start=1)
    ]
    return Explanation(
        model=_score(first, [post.model for post in posts]),
        against=_score(second, [post.against for post in posts]),
        image_ablation=against is None,
        posts=posts,
        thumbnails=thumbnails,
        skipped=skipped,
        images=count_status(example.predicted for example in first),
        descriptors=sum(doc._.image_features is not None for doc in gold),
        attention_bounds=tagger.attention_bounds if tagger else None,
    )


def _take(docs: Iterable[Doc], limit: int) -> tuple[list[Doc], int]:
    """Return up to `limit` Docs with tokens, and the number of Docs without any before them."""
    kept: list[Doc] = []
    skipped = 0
    for doc in docs:
        if len(doc):
            kept.append(doc)
        else:
            skipped += 1
        if len(kept) == limit > 0:
            break
    return kept, skipped


def _image_encoder(featurizers: Featurizers) -> ImageEncoder | None:
    """Return the first image encoder among the modalities of a pipeline."""
    images = (one for one in featurizers.by_name.values() if isinstance(one, ImageFeaturizer))
    return next((one.encoder for one in images if one.encoder is not None), None)


def _score(examples: Sequence[Example], texts: Sequence[AnnotatedText]) -> Scores:
    scores = score_entities(examples)
    correct = sum(text.correct is True for text in texts)
    return Scores(scores["ents_p"], scores["ents_r"], scores["ents_f"], correct)


def _explain_post(
    number: int,
    first: Example,
    second: Example,
    images: PostImages,
    featurizers: Featurizers,
    folders: tuple[Path | None, Path | None],
) -> ExplainedPost:
    gold, predicted = first.reference, first.predicted
    model = annotate_prediction(predicted, gold)
    against = annotate_prediction(second.predicted, gold)
    text = predicted._.image_status
    status = ImageStatus.parse(text) if text else None
    notes = _notes(gold, status, images)
    return ExplainedPost(
        number=number,
        id=str(gold.user_data.get(POST_ID) or ""),
        verdict=verdict_of(
            model.correct, against.correct, image_used=_image_used(gold, status, featurizers)
        ),
        status=status,
        gold=annotate_gold(gold),
        model=model,
        against=against,
        modality_weights=_modality_weights(predicted),
        region_attention=region_attention(predicted, featurizers, images.keys),
        images=images.shown,
        caption=gold._.image_text.strip() if isinstance(gold._.image_text, str) else "",
        notes=[redact_folders(note, gold._.image, *folders) for note in notes],
    )


def _image_used(gold: Doc, status: ImageStatus | None, featurizers: Featurizers) -> bool:
    """Whether the pipeline used the image of a post, or the text about it."""
    reads_text = any(settings.get("context") for settings in featurizers.settings.values())
    is_used = status is not None and status.kind == USED
    return is_used or (reads_text and has_image_text(gold))


def verdict_of(model: bool | None, against: bool | None, *, image_used: bool) -> Verdict:
    """Compare two pipelines on a post.

    model, against: whether each is correct; None for both if the annotation is incomplete.
    image_used: whether the first one used an image, a descriptor, or text about the image.
    """
    if model is None or against is None:
        return "unannotated"
    if not image_used:
        return "no-image"
    if model:
        return "both-right" if against else "helped"
    return "hurt" if against else "both-wrong"


def _modality_weights(doc: Doc) -> ModalityWeights | None:
    """Return the attention of each token; None if a later component changed the tokens."""
    attention: dict[str, np.ndarray] = doc._.modality_attention or {}
    if not attention or any(len(weights) != len(doc) for weights in attention.values()):
        return None
    tokens = [token.text for token in doc]
    return ModalityWeights(tokens, {name: weights.tolist() for name, weights in attention.items()})


def _notes(gold: Doc, status: ImageStatus | None, images: PostImages) -> list[str]:
    caption = gold._.image_text
    notes = []
    if not isinstance(caption, str | None):  # a corpus file can hold any type
        notes.append(f"Caption not shown: its type is {type(caption).__name__}, not string.")
    if not has_image(gold):
        return [*notes, "This post has no image."]
    if gold._.image_features is not None:
        shape = " × ".join(map(str, np.shape(gold._.image_features)))
        notes.append(f"The model reads a precomputed descriptor ({shape}) instead of pixels.")
    if status and (status.reasons or status.kind not in (USED, ABSENT)):
        notes.append(f"Image status: {status}.")
    reasons = status.reasons if status else ()
    return notes + [f"Image not shown: {one}." for one in images.problems if one not in reasons]
