"""ObjectFeaturizer: the objects in a post's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..errors import ImageError
from ..images.detectors.object_detector import MAX_OBJECTS
from ..images.image_objects import ImageObject, read_objects, top_scoring
from ..utils.text import printable
from .batch import PostBatch
from .featurizer import Arrays, Featurizer, ImageFeatures
from .image_status import ABSENT, UNREADABLE, USED, ImageStatus

# The index of a label that did not occur in training.
UNKNOWN = 0
# Characters of a label in a message.
LABEL_CHARACTERS = 40


class ObjectFeaturizer(Featurizer):
    """Encodes the top-scoring objects of a post, which are in `doc._.image_objects`.

    A post without objects is masked. So is a post whose objects are invalid, with the reason in its
    status. An object is skipped if its label did not occur in training and the model takes no
    vectors.

    n: maximum number of objects per post.
    """

    def __init__(self, *, n: int = 5):
        if not 1 <= n <= MAX_OBJECTS:
            raise ValueError(f"n must be between 1 and {MAX_OBJECTS}, got {n}")
        self.n = n
        self.dim = 0
        self.ids: dict[str, int] = {}
        self._labels: set[str] = set()
        self._widths: set[int] = set()

    def update_vocab(self, doc: Doc) -> None:
        if doc._.image_objects is None:
            return
        try:
            objects = top_scoring(read_objects(doc._.image_objects), self.n)
        except ImageError:
            return  # masked in training too
        self._labels.update(one.label for one in objects)
        self._widths.update(_width(one) for one in objects)

    def finalize(self) -> None:
        labels, widths = self._labels, self._widths
        self._labels, self._widths = set(), set()  # reset for another initialization
        if not labels:
            raise ValueError(
                "The object modality has no labels: no training post has image_objects. Add the "
                "component image_objects before this one and list it in training."
                "annotating_components, add image_objects to the posts, or remove the modality."
            )
        if len(widths) > 1:
            found = ", ".join(str(width) if width else "none" for width in sorted(widths))
            raise ValueError(
                f"The vectors of image_objects must have one width, or be absent from all objects. "
                f"Widths in the training posts: {found}. Remove the vectors, or give every object "
                "one of the same width."
            )
        self.dim = max(widths, default=0)
        self._set_labels(sorted(labels))

    def _set_labels(self, labels: Sequence[str]) -> None:
        self.ids = {label: i for i, label in enumerate(labels, start=UNKNOWN + 1)}

    @property
    def settings(self) -> dict[str, Any]:
        return {"n": self.n}

    def dims(self) -> dict[str, int]:
        return {"n_labels": len(self.ids), "dim": self.dim}

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image_objects",)

    def region_names(self, doc: Doc) -> list[str]:
        objects = self._read(doc)
        return [] if isinstance(objects, ImageError) else [one.label for one in objects]

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        per_post = [
            [] if masked else self._read(doc)
            for doc, masked in zip(batch.docs, batch.without_image, strict=True)
        ]
        usable = [[] if isinstance(one, ImageError) else one for one in per_post]
        return ImageFeatures(self._collate(usable), [*map(_status, per_post)])

    def _read(self, doc: Doc) -> list[ImageObject] | ImageError:
        """Return the top-scoring usable objects of a post, or why they cannot be used."""
        if doc._.image_objects is None:
            return []
        try:
            return top_scoring(self._usable(doc._.image_objects), self.n)
        except ImageError as error:
            return error

    def _usable(self, value: Any) -> list[ImageObject]:
        objects = read_objects(value)
        for number, one in enumerate(objects, start=1):
            if self.dim and _width(one) != self.dim:
                raise ImageError(
                    f"invalid image_objects: the vector of object {number} has width "
                    f"{_width(one)}, expected {self.dim}"
                )
        usable = [one for one in objects if self.dim or one.label in self.ids]
        if objects and not usable:
            labels = [printable(one.label[:LABEL_CHARACTERS]) for one in top_scoring(objects, 3)]
            raise ImageError(
                "no label of image_objects occurred in training: "
                f"{', '.join(dict.fromkeys(labels))}"
            )
        return usable

    def _collate(self, per_post: Sequence[list[ImageObject]]) -> Arrays:
        shape = (len(per_post), max(map(len, per_post), default=0))
        features = {
            "label": np.full(shape, UNKNOWN, dtype=np.int64),
            "available": np.zeros(shape, dtype=bool),
        }
        if self.dim:
            features["vectors"] = np.zeros((*shape, self.dim), dtype=np.float32)
        for i, objects in enumerate(per_post):
            features["available"][i, : len(objects)] = True
            for j, one in enumerate(objects):
                features["label"][i, j] = self.ids.get(one.label, UNKNOWN)
                if self.dim:
                    features["vectors"][i, j] = one.vector
        return features

    @property
    def state(self) -> dict[str, Any]:
        return {"labels": list(self.ids), "dim": self.dim}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._set_labels(value["labels"])
        self.dim = value["dim"]


def _status(read: list[ImageObject] | ImageError) -> ImageStatus:
    if isinstance(read, ImageError):
        return ImageStatus(UNREADABLE, reasons=(str(read),))
    return ImageStatus(USED if read else ABSENT)


def _width(one: ImageObject) -> int:
    return 0 if one.vector is None else len(one.vector)
