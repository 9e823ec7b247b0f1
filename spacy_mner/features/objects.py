"""ObjectFeaturizer: the objects in a post's images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..errors import ImageError
from ..images.detectors.object_detector import MAX_OBJECTS
from ..images.image_objects import ImageObject, read_objects, top_scoring
from ..utils.text import printable
from .featurizer import Arrays
from .visual_featurizer import VisualFeaturizer, results_in

# The index of a label that did not occur in training.
UNKNOWN = 0
# Characters of a label in a message.
LABEL_CHARACTERS = 40


class ObjectFeaturizer(VisualFeaturizer[list[ImageObject]]):
    """Encodes the top-scoring objects of a post, which are in `doc._.image_objects`.

    A post without objects is masked. So is a post whose objects are invalid, with the reason in its
    status. An object is skipped if its label did not occur in training and the model takes no
    vectors.

    n: maximum number of objects per post.
    """

    attribute = "image_objects"

    def __init__(self, *, n: int = 5):
        if not 1 <= n <= MAX_OBJECTS:
            raise ValueError(f"n must be between 1 and {MAX_OBJECTS}, got {n}")
        super().__init__(None)
        self.n = n
        self.dim = 0
        self.ids: dict[str, int] = {}
        self._labels: set[str] = set()
        self._widths: set[int] = set()

    def update_given(self, doc: Doc) -> None:
        try:
            objects = top_scoring(read_objects(doc._.image_objects), self.n)
        except ImageError:
            return  # masked in training too
        self._labels.update(one.label for one in objects)
        self._widths.update(_width(one) for one in objects)

    def finalize(self) -> None:
        labels, widths = self._labels, self._widths
        self._labels, self._widths = set(), set()  # reset for another initialization
        super().finalize()
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

    def region_names(self, doc: Doc) -> list[str]:
        [outcomes] = self.compute([self.open(doc)])
        return [one.label for one in self._top_scoring(results_in(outcomes))]

    def _top_scoring(self, results: Sequence[list[ImageObject]]) -> list[ImageObject]:
        """Return the top-scoring objects of all images of a post."""
        return top_scoring(chain.from_iterable(results), self.n)

    def given(self, doc: Doc) -> list[list[ImageObject]]:
        objects = read_objects(doc._.image_objects)
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
        return [usable] if usable else []

    def collate(self, per_post: Sequence[list[list[ImageObject]]]) -> Arrays:
        top = [self._top_scoring(results) for results in per_post]
        shape = (len(top), max(map(len, top), default=0))
        features = {
            "label": np.full(shape, UNKNOWN, dtype=np.int64),
            "available": np.zeros(shape, dtype=bool),
        }
        if self.dim:
            features["vectors"] = np.zeros((*shape, self.dim), dtype=np.float32)
        for i, objects in enumerate(top):
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


def _width(one: ImageObject) -> int:
    return 0 if one.vector is None else len(one.vector)
