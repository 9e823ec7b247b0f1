"""The factories of our components, which spaCy loads by their entry points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.language import Language

from ..images.detectors.object_detector import ObjectDetector
from ..images.readers.image_reader import ImageReader
from .image_text import ImageText
from .multimodal_ner import MultimodalNER
from .object_annotator import ImageObjects


@Language.factory(
    "multimodal_ner",
    assigns=[
        "doc.ents",
        "token.ent_iob",
        "token.ent_type",
        "span._.score",
        "doc._.image_status",
        "doc._.modality_attention",
        "doc._.image_attention",
    ],
    default_config={
        "model": {"@architectures": "spacy_mner.DefaultTagger.v1"},
        "threshold": 0.0,
        "annotate_attention": False,
        "images_root": None,
        "overwrite": True,
        "scorer": {"@scorers": "spacy_mner.mner_scorer.v1"},
    },
    default_score_weights={
        "ents_f": 1.0,
        "ents_p": 0.0,
        "ents_r": 0.0,
        "ents_per_type": None,
        "segmentation_f": 0.0,
        "segmentation_p": 0.0,
        "segmentation_r": 0.0,
    },
)
def make_multimodal_ner(
    nlp: Language,
    name: str,
    model: Any,
    threshold: float,
    annotate_attention: bool,
    images_root: str | None,
    overwrite: bool,
    scorer: Callable | None,
) -> MultimodalNER:
    """Named entities of posts with images.

    All settings but the model may be changed on a loaded component, and are saved with it.

    model: the network, `spacy_mner.MultimodalTagger.v1` with its blocks, or by default word +
        character + image.
    threshold: predicted entities with a smaller probability are dropped.
    annotate_attention: set `doc._.modality_attention` or `doc._.image_attention`.
    images_root: folder that relative image paths are relative to; null for the working directory.
    overwrite: replace the entities that a post has; false keeps them, and the CRF decodes around
        them.
    scorer: called by spaCy with annotated posts.
    """
    return MultimodalNER(
        nlp.vocab,
        model,
        name,
        threshold=threshold,
        annotate_attention=annotate_attention,
        images_root=images_root,
        overwrite=overwrite,
        scorer=scorer,
    )


@Language.factory(
    "image_text",
    assigns=["doc._.image_text"],
    default_config={
        "reader": {"@image_readers": "spacy_mner.RapidOCR.v1"},
        "images_root": None,
        "memory_mb": 16,
    },
)
def make_image_text(
    nlp: Language, name: str, reader: ImageReader, images_root: str | None, memory_mb: int
) -> ImageText:
    """The text in the images of posts or about them: sets `doc._.image_text` where it is null.

    Untrained, and before the tagger in the pipeline. To train with it, list it in
    `training.annotating_components`.

    reader: what reads an image.
    images_root: folder that relative image paths are relative to; null for the working directory.
        It may be changed on a loaded component, and is saved with it.
    memory_mb: size of the cache of texts in memory, by the content of images, in MiB.
    """
    return ImageText(name, reader, images_root=images_root, memory_mb=memory_mb)


@Language.factory(
    "image_objects",
    assigns=["doc._.image_objects"],
    default_config={
        "detector": {"@object_detectors": "spacy_mner.EfficientNetLiteTagger.v1"},
        "images_root": None,
        "memory_mb": 64,
    },
)
def make_image_objects(
    nlp: Language, name: str, detector: ObjectDetector, images_root: str | None, memory_mb: int
) -> ImageObjects:
    """The objects in the images of posts: sets `doc._.image_objects` where it is null.

    Untrained, and before the tagger in the pipeline. To train with it, list it in
    `training.annotating_components`.

    detector: what finds the objects of an image.
    images_root: folder that relative image paths are relative to; null for the working directory.
        It may be changed on a loaded component, and is saved with it.
    memory_mb: size of the cache of objects in memory, by the content of images, in MiB.
    """
    return ImageObjects(name, detector, images_root=images_root, memory_mb=memory_mb)
