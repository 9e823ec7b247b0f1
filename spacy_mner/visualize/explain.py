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

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..evaluation.evaluate import count_status, images_root_of, predict
from ..evaluation.image_ablation import ImageCondition
from ..evaluation.scorer import score_entities
from ..extensions import has_image_text
from ..features import Featurizers
from ..features.image_status import USED, ImageStatus
from ..pipeline.multimodal_ner import MultimodalNER
from .annotated_post import AnnotatedPost, annotate_post, featurizers_of, image_encoder_of
from .annotated_text import AnnotatedText, annotate_gold, annotate_prediction
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
class ExplainedPost(AnnotatedPost):
    """A post with its gold entities and those of the second pipeline."""

    verdict: Verdict
    gold: AnnotatedText
    against: AnnotatedText


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
    featurizers = featurizers_of(nlp)
    folders = (images_root_of(nlp), allowed_folder)
    images, thumbnails = collect_images(
        [doc._.image for doc in gold], image_encoder_of(featurizers), *folders
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
    post = annotate_post(number, predicted, model, images, featurizers, folders, source=gold)
    is_used = _image_used(gold, post.status, featurizers)
    return ExplainedPost(
        **vars(post),
        verdict=verdict_of(model.correct, against.correct, image_used=is_used),
        gold=annotate_gold(gold),
        against=against,
    )


def _image_used(gold: Doc, status: ImageStatus | None, featurizers: Featurizers) -> bool:
    """Whether the pipeline used the image of a post, or the text about it."""
    reads_text = any("image_text" in one.reads for one in featurizers.by_name.values())
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
