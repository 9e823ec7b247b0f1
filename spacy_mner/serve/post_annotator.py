"""Annotates the posts of requests, by the rules of bulk annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc

from ..annotate.annotator import Annotation, Annotator
from ..annotate.chunks import Chunk, Row
from ..annotate.image_opener import Images, OpenedImages
from ..errors import ImageError
from ..extensions import has_value
from ..images.image_objects import read_objects
from ..images.reference import LazyImage
from ..visualize.annotated_post import featurizers_of
from ..visualize.region_attention import region_layout


@dataclass(frozen=True)
class OpenedPost:
    """A post of a request, with its opened images.

    text: a post whose text is not a str fails.
    attributes: `image_text`, `image_features` and `image_objects`, where given.
    attention: whether the answer has the attention of each token.
    """

    text: Any
    images: Images = field(default_factory=list)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    attention: bool = False


class PostAnnotator(Annotator):
    """Annotates posts; used by the thread that created it, for which its device is set.

    An annotation has, beside the keys of `Annotator`, `image_text` and `image_objects` (also those
    that the pipeline found), and `regions`: the layout of the regions in `attention`.
    """

    # Answers equal those of the pipeline to 1e-5.
    decimals = 7

    @property
    def name(self) -> str:
        """Name and version of the pipeline."""
        meta = self.nlp.meta
        return f"{meta['lang']}_{meta['name']} {meta['version']}"

    @property
    def labels(self) -> list[str]:
        """The labels of the components that set entities."""
        names = [
            name
            for name in self.nlp.pipe_names
            if "doc.ents" in self.nlp.get_pipe_meta(name).assigns
        ]
        return sorted({label for name in names for label in self.nlp.pipe_labels.get(name, [])})

    def annotate(self, posts: Sequence[OpenedPost]) -> list[Annotation]:
        """Return the annotation of each post; one that fails has an `error`."""
        self.set_attention(any(post.attention for post in posts))
        rows = [Row({"text": post.text, **post.attributes}) for post in posts]
        annotations = self(
            Chunk(0, rows), OpenedImages([post.images for post in posts], nullcontext())
        )
        for post, annotation in zip(posts, annotations, strict=True):
            if not post.attention:
                annotation.update(attention=None, regions=None)
        return annotations

    def annotation_of(self, doc: Doc) -> Annotation:
        return {
            **super().annotation_of(doc),
            "regions": self._regions(doc) if self.task.attention else None,
            "image_text": doc._.image_text,
            "image_objects": _objects(doc),
        }

    def _regions(self, doc: Doc) -> dict[str, Any] | None:
        """Modality → the names of its regions, and the images that they tile."""
        attention: Mapping[str, Any] = doc._.image_attention or {}
        featurizers = featurizers_of(self.nlp).by_name
        keys = [
            str(i) if isinstance(image, LazyImage) else None
            for i, image in enumerate(doc._.image or [])
        ]
        layouts = {}
        for name, weights in attention.items():
            layout = region_layout(doc, featurizers[name], keys, weights.shape[1])
            grids = [
                {"image": int(key), "start": start, "side": side}
                for start, side, key in layout.grids
            ]
            layouts[name] = {"names": layout.names, "grids": grids}
        return layouts or None

    def _failed(self, error: Exception) -> Annotation:
        absent = dict.fromkeys(("attention", "regions", "image_text", "image_objects"))
        return {**super()._failed(error), **absent}


def _objects(doc: Doc) -> list[dict[str, Any]] | None:
    """The objects of a post without their vectors; None if there are none, or no valid ones."""
    if not has_value(doc, "image_objects"):
        return None
    try:
        objects = read_objects(doc._.image_objects)
    except ImageError:
        return None
    return [{"label": one.label, "score": one.score, "box": one.box} for one in objects]
