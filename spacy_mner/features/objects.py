"""The objects in a post's images, given or detected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import ImageError
from ..images.detectors.object_detector import MAX_OBJECTS, ObjectDetector
from ..images.feature_cache import FeatureCache
from ..images.image_objects import ImageObject, read_objects, top_scoring
from ..images.reference import LazyImage
from ..utils.text import printable
from .batch import PostBatch
from .featurizer import Featurizer, ImageFeatures
from .image_status import ImageStatus
from .opening import FirstImages, open_images

# Of a label that training did not have.
UNKNOWN = 0
# Of a label in a message, in characters.
LONGEST_LABEL = 40

Found = list[ImageObject] | ImageError


class ObjectFeaturizer(Featurizer):
    """Gives every post the surest objects in its images: those of `doc._.image_objects`, which
    win over a detector, or those that a detector finds.

    A post without objects is masked. So is one whose objects cannot be used as a whole, with a
    status that says why, and a warning. An object of which the network can know nothing, because
    training did not have its label and the model takes no vectors, is passed over.

    store: detects the objects in images and remembers them; None where posts bring them.
    n: objects of a post that are read at most.
    """

    def __init__(self, store: FeatureCache[ObjectDetector] | None, *, n: int = 5):
        if not 1 <= n <= MAX_OBJECTS:
            raise ValueError(f"n must be between 1 and {MAX_OBJECTS}, got {n}")
        self.store = store
        self.n = n
        self.dim = 0
        self.ids: dict[str, int] = {}
        self._first = FirstImages()
        self._seen: set[str] = set()
        self._widths: set[int] = set()

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        if doc._.image_objects is not None:
            self._observe_objects(doc._.image_objects)
        elif doc._.image is not None and self.store is not None:
            self._first.update_vocab(doc, images_root)

    def _observe_objects(self, value: Any) -> None:
        try:
            objects = top_scoring(read_objects(value), self.n)
        except ImageError:
            return  # masked in training as it is later
        self._seen.update(one.label for one in objects)
        self._widths.update(0 if one.vector is None else len(one.vector) for one in objects)

    def finalize(self) -> None:
        seen, widths = self._seen, self._widths
        self._seen, self._widths = set(), set()  # the next initialization begins anew
        self._first.finalize()
        if self.store is not None:
            seen.update(self.store.encoder.labels)
        if not seen:
            raise ValueError(
                "The object modality has no detector, and no training post brings image_objects. "
                "Name a detector in the config, give the posts their objects, or drop the modality."
            )
        if len(widths) > 1 or (self.store is not None and widths - {0}):
            found = ", ".join(str(width) if width else "none" for width in sorted(widths))
            raise ValueError(
                f"Objects have vectors of one width, or none has one. The image_objects of the "
                f"training posts have: {found}; a detector gives none. Leave the vectors out, or "
                "give all posts objects with vectors and set the detector to null."
            )
        self.dim = max(widths, default=0)
        self._set_labels(sorted(seen))

    def _set_labels(self, labels: Sequence[str]) -> None:
        self.ids = {label: i for i, label in enumerate(labels, start=UNKNOWN + 1)}

    @property
    def settings(self) -> dict[str, Any]:
        return {"n": self.n}

    def set_image_cache(self, folder: Path | None) -> None:
        if self.store is not None:
            self.store.folder = folder

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image_objects",) if self.store is None else ("image_objects", "image")

    def dims(self) -> dict[str, int]:
        return {"n_labels": len(self.ids), "dim": self.dim}

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        looked_at = [
            [] if without else self._look(doc, batch.images_root)
            for doc, without in zip(batch.docs, batch.without_image, strict=True)
        ]
        per_post: list[list[ImageObject]] = []
        statuses: list[ImageStatus | None] = []
        for doc, outcome in zip(batch.docs, self._detect(looked_at), strict=True):
            failures = [one for one in outcome if isinstance(one, ImageError)]
            # Without a detector, doc._.image is read by other modalities only.
            is_read = self.store is not None or doc._.image_objects is not None
            statuses.append(ImageStatus.of(len(outcome), failures) if is_read else None)
            per_post.append(self._surest(outcome))
        return ImageFeatures(self._collate(per_post), statuses)

    def region_names(self, doc: Doc, images_root: Path | None) -> list[str]:
        [outcome] = self._detect([self._look(doc, images_root)])
        return [one.label for one in self._surest(outcome)]

    def _surest(self, outcome: Sequence[Found]) -> list[ImageObject]:
        """The objects that are read, of all the images of a post."""
        found = [one for part in outcome if not isinstance(part, ImageError) for one in part]
        return top_scoring(found, self.n)

    def _look(self, doc: Doc, images_root: Path | None) -> list[Found | LazyImage]:
        """A post's objects, or its images, or what is wrong with either."""
        if doc._.image_objects is None:
            return [] if self.store is None else [*open_images(doc, images_root)]
        try:
            objects = read_objects(doc._.image_objects)
            self._check_vectors(objects)
        except ImageError as error:
            return [error]
        if not objects:
            return []
        known = [one for one in objects if self.dim or one.label in self.ids]
        return [known or _unheard_of(objects)]

    def _check_vectors(self, objects: Sequence[ImageObject]) -> None:
        for number, one in enumerate(objects, start=1):
            width = 0 if one.vector is None else len(one.vector)
            if self.dim and width != self.dim:
                raise ImageError(
                    f"object {number} of image_objects has a vector of width {width}, the model "
                    f"takes {self.dim}"
                )

    def _detect(self, looked_at: Sequence[list[Found | LazyImage]]) -> list[list[Found]]:
        """Put objects (or what is wrong) where images are, all images in one call."""
        images = [one for part in looked_at for one in part if isinstance(one, LazyImage)]
        if self.store is None or not images:
            return [[one for one in part if not isinstance(one, LazyImage)] for part in looked_at]
        read = self.store.encoder.objects
        found = iter(self.store.features(images))

        def objects() -> Found:
            one = next(found)
            return one if isinstance(one, ImageError) else read(one)

        return [
            [objects() if isinstance(one, LazyImage) else one for one in part] for part in looked_at
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
        if self.store is None:
            return None
        self.store.encoder.check_installed()
        return f"objects of {self.store.encoder.fingerprint}"


def _unheard_of(objects: Sequence[ImageObject]) -> ImageError:
    labels = dict.fromkeys(printable(one.label[:LONGEST_LABEL]) for one in top_scoring(objects, 3))
    return ImageError(f"training had none of the labels of image_objects ({', '.join(labels)})")
