"""Every post with its image, annotation, predictions and attention, beside another pipeline's.

What figure 3 and table 2 of Moon et al. 2018 show for single posts, for a whole corpus.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..corpus.posts import POST_ID
from ..evaluation.evaluate import count_status, images_root_of, predict
from ..evaluation.image_ablation import ImageCondition
from ..evaluation.scorer import score_entities
from ..extensions import has_image, has_image_text
from ..features import Featurizers
from ..features.image import ImageFeaturizer
from ..features.image_status import ABSENT, USED
from ..images.encoders.image_encoder import ImageEncoder
from ..layers.fuse import ModalityAttention
from ..pipeline.multimodal_ner import MultimodalNER
from .annotated_text import Reading, read_gold, read_prediction
from .region_attention import Look, read_looks
from .thumbnails import PostImages, Thumbnail, collect_images, without_folders

# "unseen": the first pipeline saw nothing of an image, so that none can have helped or hurt.
Verdict = Literal["helped", "hurt", "both-wrong", "both-right", "unseen", "unjudged"]


@dataclass(frozen=True)
class Scores:
    """How one of the two pipelines does. Shares in [0, 1]; None where nothing is annotated.

    right: number of posts on which it finds exactly the annotated entities.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    right: int


@dataclass(frozen=True)
class TokenAttention:
    """Attention over a post. weights: modality → one number in [0, 1] per token."""

    tokens: list[str]
    weights: dict[str, list[float]]


@dataclass(frozen=True)
class Bounds:
    """Between what a bounded fuser weighs each of its modalities, where a post has them all."""

    modalities: int
    lowest: float
    highest: float


@dataclass(frozen=True)
class ExplainedPost:
    """Everything to show of one post.

    number: its place among those shown, from 1. id: its name in the corpus, may be empty.
    status: what became of its image in the first pipeline; "" where that says nothing.
    looks: for each entity of the first pipeline, how it looks at the regions of the modalities
        that it is told of.
    images: keys into `Explanation.thumbnails`.
    caption: `doc._.image_text`, may be empty.
    notes: why images are not shown or not used.
    """

    number: int
    id: str
    verdict: Verdict
    status: str
    gold: Reading
    model: Reading
    against: Reading
    heat: TokenAttention | None
    looks: list[list[Look]]
    images: list[str]
    caption: str
    notes: list[str]


@dataclass(frozen=True)
class Explanation:
    """Two pipelines on a corpus, post by post.

    own_ablation: the second one is the first with its images taken away.
    skipped: posts left out because they have no token.
    images: number of posts by what became of their image in the first pipeline.
    descriptors: number of posts that bring a descriptor, which pipelines take instead of pixels.
    bounds: of the attention of the first pipeline; None where its fuser is not bounded.
    """

    model: Scores
    against: Scores
    own_ablation: bool
    posts: list[ExplainedPost]
    thumbnails: dict[str, Thumbnail]
    skipped: int
    images: dict[str, int]
    descriptors: int
    bounds: Bounds | None

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
    images_below: Path | None = None,
) -> Explanation:
    """Read annotated posts with a pipeline and with another. The posts stay as they are.

    docs: gold tokens and entities, and an image where there is one.
    against: the other pipeline; None: the same one with the images taken away.
    limit: take so many posts with tokens (0: all).
    images_below: folder outside of which no image file is shown; None: all that posts name.
    """
    gold, skipped = _take(docs, limit)
    with _attention(nlp):
        first = predict(nlp, gold, batch_size=batch_size).examples
    other_images: ImageCondition = "on" if against else "off"
    second = predict(against or nlp, gold, images=other_images, batch_size=batch_size).examples
    tagger, folders = _tagger(nlp), (images_root_of(nlp), images_below)
    featurizers = tagger.model.attrs["featurizers"] if tagger else Featurizers({})
    references = [doc._.image for doc in gold]
    images, thumbnails = collect_images(references, _encoder(featurizers), *folders)
    posts = [
        _explain_post(number, *post, featurizers, folders)
        for number, post in enumerate(zip(first, second, images, strict=True), start=1)
    ]
    return Explanation(
        model=_score(first, [post.model for post in posts]),
        against=_score(second, [post.against for post in posts]),
        own_ablation=against is None,
        posts=posts,
        thumbnails=thumbnails,
        skipped=skipped,
        images=count_status(example.predicted for example in first),
        descriptors=sum(doc._.image_features is not None for doc in gold),
        bounds=_bounds(tagger),
    )


def _take(docs: Iterable[Doc], limit: int) -> tuple[list[Doc], int]:
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


def _tagger(nlp: Language) -> MultimodalNER | None:
    return next((pipe for _, pipe in nlp.pipeline if isinstance(pipe, MultimodalNER)), None)


def _encoder(featurizers: Featurizers) -> ImageEncoder | None:
    """The first image encoder among the modalities of a pipeline."""
    for featurizer in featurizers.by_name.values():
        if isinstance(featurizer, ImageFeaturizer) and featurizer.store is not None:
            return featurizer.store.encoder
    return None


def _bounds(tagger: MultimodalNER | None) -> Bounds | None:
    shim: Any = tagger.model.shims[0] if tagger else None
    fuser = shim and shim.network.fuse
    if not isinstance(fuser, ModalityAttention) or not fuser.bounded or len(fuser.names) < 2:
        return None
    # The softmax of scores of which one is 0 and the others are 1, and the other way round.
    n, e = len(fuser.names), math.e
    return Bounds(n, 1 / (1 + (n - 1) * e), e / (e + n - 1))


@contextmanager
def _attention(nlp: Language) -> Iterator[None]:
    """Have the attention annotated, whatever the config of the pipeline says."""
    tagger = _tagger(nlp)
    if tagger is None:
        yield
        return
    before = tagger.annotate_attention
    tagger.annotate_attention = True
    try:
        yield
    finally:
        tagger.annotate_attention = before


def _score(examples: Sequence[Example], readings: Sequence[Reading]) -> Scores:
    scores = score_entities(examples)
    right = sum(reading.right is True for reading in readings)
    return Scores(scores["ents_p"], scores["ents_r"], scores["ents_f"], right)


def _explain_post(
    number: int,
    first: Example,
    second: Example,
    images: PostImages,
    featurizers: Featurizers,
    folders: tuple[Path | None, Path | None],
) -> ExplainedPost:
    gold, predicted = first.reference, first.predicted
    model, against = read_prediction(predicted, gold), read_prediction(second.predicted, gold)
    status = predicted._.image_status or ""
    notes = _notes(gold, status, images)
    return ExplainedPost(
        number=number,
        id=str(gold.user_data.get(POST_ID) or ""),
        verdict=judge(model.right, against.right, used=_saw(gold, status, featurizers)),
        status=status,
        gold=read_gold(gold),
        model=model,
        against=against,
        heat=_heat(predicted),
        looks=read_looks(predicted, featurizers, images.places),
        images=images.keys,
        caption=gold._.image_text.strip() if isinstance(gold._.image_text, str) else "",
        notes=[without_folders(note, gold._.image, *folders) for note in notes],
    )


def _saw(gold: Doc, status: str, featurizers: Featurizers) -> bool:
    """Whether anything of the image reached a pipeline: itself, or the text about it."""
    reads_text = any(settings.get("context") for settings in featurizers.settings.values())
    return status.startswith(USED) or (reads_text and has_image_text(gold))


def judge(model: bool | None, against: bool | None, *, used: bool) -> Verdict:
    """Compare two pipelines on a post. Each is right, wrong, or (both of them) not to be judged.

    used: whether the first one used an image, a descriptor, or text about the image.
    """
    if model is None or against is None:
        return "unjudged"
    if not used:
        return "unseen"
    if model:
        return "both-right" if against else "helped"
    return "hurt" if against else "both-wrong"


def _heat(doc: Doc) -> TokenAttention | None:
    """The attention over a post; None where there is none, or it is of other tokens."""
    attention: dict[str, np.ndarray] = doc._.modality_attention or {}
    if not attention or any(len(weights) != len(doc) for weights in attention.values()):
        return None
    tokens = [token.text for token in doc]
    return TokenAttention(tokens, {name: weights.tolist() for name, weights in attention.items()})


def _notes(gold: Doc, status: str, images: PostImages) -> list[str]:
    """Why there is no image, or what else a person should know of it."""
    notes = _caption_notes(gold._.image_text)
    if not has_image(gold):
        return [*notes, "This post has no image."]
    if gold._.image_features is not None:
        shape = " × ".join(map(str, np.shape(gold._.image_features)))
        notes.append(f"The model takes a descriptor ({shape} numbers) in place of pixels.")
    if status not in ("", USED, ABSENT):
        notes.append(f"The model says of the image: “{status}”.")
    untold = [reason for reason in images.problems if reason not in status]
    return notes + [f"An image is not shown: {reason}." for reason in untold]


def _caption_notes(caption: Any) -> list[str]:
    if isinstance(caption, str | None):
        return []
    return [f"The caption is not shown: it is of type {type(caption).__name__}, not a string."]
