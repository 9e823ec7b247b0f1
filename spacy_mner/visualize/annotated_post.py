"""What a page shows of one post and its predicted entities: text, images and attention."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..extensions import POST_ID, has_image
from ..features import Featurizers
from ..features.image import ImageFeaturizer
from ..features.image_status import ABSENT, USED, ImageStatus
from ..images.encoders.image_encoder import ImageEncoder
from ..pipeline.multimodal_ner import MultimodalNER
from .annotated_text import AnnotatedText
from .private_paths import redact_folders
from .region_attention import RegionAttention, region_attention
from .thumbnails import PostImages


@dataclass(frozen=True)
class ModalityWeights:
    """Attention over modalities. weights: modality → one number in [0, 1] per predicted token."""

    tokens: list[str]
    weights: dict[str, list[float]]


@dataclass(frozen=True)
class AnnotatedPost:
    """A post as a pipeline annotated it.

    number: position on the page, from 1. id: as the corpus names the post, may be empty.
    status: of the images under the pipeline; None if it sets none.
    region_attention: of each entity, per modality with regions.
    images: keys of the thumbnails.
    caption: `doc._.image_text`, may be empty.
    notes: why images are not shown or not used.
    """

    number: int
    id: str
    status: ImageStatus | None
    model: AnnotatedText
    modality_weights: ModalityWeights | None
    region_attention: list[list[RegionAttention]]
    images: list[str]
    caption: str
    notes: list[str]


def annotate_post(
    number: int,
    predicted: Doc,
    text: AnnotatedText,
    images: PostImages,
    featurizers: Featurizers,
    folders: tuple[Path | None, Path | None],
    *,
    source: Doc,
) -> AnnotatedPost:
    """Collect what a page shows of a post.

    text: with the predicted entities.
    folders: the images root, and the only folder whose files are shown, if any.
    source: the Doc whose image and text about it are shown.
    """
    status = predicted._.image_status
    status = ImageStatus.parse(status) if status else None
    caption = source._.image_text
    notes = _notes(source, status, images)
    return AnnotatedPost(
        number=number,
        id=str(source.user_data.get(POST_ID) or ""),
        status=status,
        model=text,
        modality_weights=_modality_weights(predicted),
        region_attention=region_attention(predicted, featurizers, images.keys),
        images=images.shown,
        caption=caption.strip() if isinstance(caption, str) else "",
        notes=[redact_folders(note, source._.image, *folders) for note in notes],
    )


def featurizers_of(nlp: Language | None) -> Featurizers:
    """Return the featurizers of the last `multimodal_ner`, which sets the attention of posts.

    They are empty without one.
    """
    pipes = nlp.pipeline if nlp is not None else []
    taggers = [pipe for _, pipe in pipes if isinstance(pipe, MultimodalNER)]
    return taggers[-1].model.attrs["featurizers"] if taggers else Featurizers({})


def image_encoder_of(featurizers: Featurizers) -> ImageEncoder | None:
    """Return the first image encoder among the modalities of a pipeline."""
    images = (one for one in featurizers.by_name.values() if isinstance(one, ImageFeaturizer))
    return next((one.encoder for one in images if one.encoder is not None), None)


def _modality_weights(doc: Doc) -> ModalityWeights | None:
    """Return the attention of each token; None if a later component changed the tokens."""
    attention: dict[str, np.ndarray] = doc._.modality_attention or {}
    if not attention or any(len(weights) != len(doc) for weights in attention.values()):
        return None
    tokens = [token.text for token in doc]
    return ModalityWeights(tokens, {name: weights.tolist() for name, weights in attention.items()})


def _notes(source: Doc, status: ImageStatus | None, images: PostImages) -> list[str]:
    caption = source._.image_text
    notes = []
    if not isinstance(caption, str | None):  # a corpus file can hold any type
        notes.append(f"Caption not shown: its type is {type(caption).__name__}, not string.")
    if not has_image(source):
        return [*notes, "This post has no image."]
    if source._.image_features is not None:
        shape = " × ".join(map(str, np.shape(source._.image_features)))
        notes.append(f"The model reads a precomputed descriptor ({shape}) instead of pixels.")
    if status and (status.reasons or status.kind not in (USED, ABSENT)):
        notes.append(f"Image status: {status}.")
    reasons = status.reasons if status else ()
    return notes + [f"Image not shown: {one}." for one in images.problems if one not in reasons]
