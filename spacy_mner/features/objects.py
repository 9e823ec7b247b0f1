"""ObjectFeaturizer: the objects in a post's images, given or detected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import ImageError
from ..images.detectors.object_detector import MAX_OBJECTS, ObjectDetector
from ..images.disk_cache import DiskCache
from ..images.feature_cache import FeatureCache
from ..images.image_objects import ImageObject, read_objects, top_scoring
from ..images.reference import LazyImage
from ..utils.text import printable
from .batch import PostBatch
from .featurizer import Featurizer, ImageFeatures
from .image_status import ImageStatus
from .opening import ImagesRootCheck, open_images

# The index of a label that did not occur in training.
UNKNOWN = 0
# Characters of a label in a message.
LABEL_CHARACTERS = 40

Outcome = list[ImageObject] | ImageError


class ObjectFeaturizer(Featurizer):
    """Encodes the top-scoring objects of a post: those of `doc._.image_objects`, or detected ones.

    Objects that are given win over a detector. A post without objects is masked. So is a post
    whose objects are invalid, with the reason in its status. An object is skipped if its label
    did not occur in training and the model takes no vectors.

    cache: the object detector with the objects it detected; None for given objects only.
    n: maximum number of objects per post.
    """

    def __init__(self, cache: FeatureCache[list[ImageObject]] | None, *, n: int = 5):
        if not 1 <= n <= MAX_OBJECTS:
            raise ValueError(f"n must be between 1 and {MAX_OBJECTS}, got {n}")
        self.cache = cache
        self.n = n
        self.dim = 0
        self.ids: dict[str, int] = {}
        self._root_check = ImagesRootCheck()
        self._labels: set[str] = set()
        self._widths: set[int] = set()

    @property
    def detector(self) -> ObjectDetector | None:
        network = None if self.cache is None else self.cache.network
        assert network is None or isinstance(network, ObjectDetector)
        return network

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        if doc._.image_objects is not None:
            self._update_labels(doc._.image_objects)
        elif doc._.image is not None and self.cache is not None:
            self._root_check.update(doc, images_root)

    def _update_labels(self, value: Any) -> None:
        try:
            objects = top_scoring(read_objects(value), self.n)
        except ImageError:
            return  # masked in training too
        self._labels.update(one.label for one in objects)
        self._widths.update(_width(one) for one in objects)

    def finalize(self) -> None:
        labels, widths = self._labels, self._widths
        self._labels, self._widths = set(), set()  # reset for another initialization
        self._root_check.finalize()
        if self.detector is not None:
            labels.update(self.detector.labels)
        if not labels:
            raise ValueError(
                "The object modality has no detector, and no training post has image_objects. "
                "Set a detector in the config, add image_objects to the posts, or remove the "
                "modality."
            )
        if len(widths) > 1 or (self.cache is not None and widths - {0}):
            found = ", ".join(str(width) if width else "none" for width in sorted(widths))
            raise ValueError(
                f"The vectors of image_objects must have one width, or be absent from all objects. "
                f"Widths in the training posts: {found}; a detector returns no vectors. Remove "
                "the vectors, or set the detector to null and give every object a vector."
            )
        self.dim = max(widths, default=0)
        self._set_labels(sorted(labels))

    def _set_labels(self, labels: Sequence[str]) -> None:
        self.ids = {label: i for i, label in enumerate(labels, start=UNKNOWN + 1)}

    @property
    def settings(self) -> dict[str, Any]:
        return {"n": self.n}

    def set_image_cache(self, disk: DiskCache | None) -> None:
        if self.cache is not None:
            self.cache.disk = disk

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image_objects",) if self.cache is None else ("image_objects", "image")

    def dims(self) -> dict[str, int]:
        return {"n_labels": len(self.ids), "dim": self.dim}

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        opened = [
            [] if masked else self._open(doc, batch.images_root)
            for doc, masked in zip(batch.docs, batch.without_image, strict=True)
        ]
        statuses: list[ImageStatus | None] = []
        objects: list[list[ImageObject]] = []
        for doc, outcome in zip(batch.docs, self._detect(opened, batch.device), strict=True):
            failures = [one for one in outcome if isinstance(one, ImageError)]
            # Without a detector, doc._.image is read by other modalities only.
            is_read = self.cache is not None or doc._.image_objects is not None
            statuses.append(ImageStatus.of(len(outcome), failures) if is_read else None)
            objects.append(self._top_scoring(outcome))
        return ImageFeatures(self._collate(objects), statuses)

    def region_names(self, doc: Doc, images_root: Path | None) -> list[str]:
        [outcome] = self._detect([self._open(doc, images_root)])
        return [one.label for one in self._top_scoring(outcome)]

    def _top_scoring(self, outcome: Sequence[Outcome]) -> list[ImageObject]:
        """Return the top-scoring objects of all images of a post."""
        found = [one for part in outcome if not isinstance(part, ImageError) for one in part]
        return top_scoring(found, self.n)

    def _open(self, doc: Doc, images_root: Path | None) -> list[Outcome | LazyImage]:
        """Return a post's given objects or its images, or why they cannot be used."""
        if doc._.image_objects is None:
            return [] if self.cache is None else [*open_images(doc, images_root)]
        try:
            objects = read_objects(doc._.image_objects)
            self._check_vectors(objects)
        except ImageError as error:
            return [error]
        if not objects:
            return []
        known = [one for one in objects if self.dim or one.label in self.ids]
        return [known or _unknown_labels_error(objects)]

    def _check_vectors(self, objects: Sequence[ImageObject]) -> None:
        for number, one in enumerate(objects, start=1):
            if self.dim and _width(one) != self.dim:
                raise ImageError(
                    f"invalid image_objects: the vector of object {number} has width "
                    f"{_width(one)}, expected {self.dim}"
                )

    def _detect(
        self, opened: Sequence[list[Outcome | LazyImage]], device: torch.device | None = None
    ) -> list[list[Outcome]]:
        """Replace images by their objects, all images in one call."""
        images = [one for part in opened for one in part if isinstance(one, LazyImage)]
        detected = iter(self.cache.results(images, device) if self.cache and images else [])
        return [
            [next(detected) if isinstance(one, LazyImage) else one for one in part]
            for part in opened
        ]

    def _collate(self, per_post: Sequence[Sequence[ImageObject]]) -> dict[str, np.ndarray]:
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

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        if self.detector is None:
            return None
        self.detector.check_installed()
        return f"objects of {self.detector.fingerprint}"


def _width(one: ImageObject) -> int:
    return 0 if one.vector is None else len(one.vector)


def _unknown_labels_error(objects: Sequence[ImageObject]) -> ImageError:
    labels = dict.fromkeys(
        printable(one.label[:LABEL_CHARACTERS]) for one in top_scoring(objects, 3)
    )
    return ImageError(f"no label of image_objects occurred in training: {', '.join(labels)}")
