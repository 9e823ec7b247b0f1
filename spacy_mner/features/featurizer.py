"""Featurizer, the base class of every modality's host half, and the featurizers of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.model import deserialize_attr, serialize_attr

from ..images.disk_cache import DiskCache
from ..images.encoders.saved_encoder import SavedEncoder
from ..images.masked_images import MaskedImageWarnings
from .batch import PostBatch
from .image_status import ABSENT, IGNORED, ImageStatus, ignored_status

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class ImageFeatures:
    """The output of a featurizer that reads images.

    arrays: the embedder's inputs by name.
    statuses: of each post; "absent" where the modality reads none of its image attributes.
    """

    arrays: Arrays
    statuses: Sequence[ImageStatus]


@dataclass(frozen=True)
class FeatureBatch:
    """The features of a batch of posts.

    arrays: by modality name, the embedder's inputs by name.
    statuses: the image status of each post, all modalities merged.
    """

    arrays: dict[str, Arrays]
    statuses: list[ImageStatus]


class Featurizer(ABC):
    """Computes the input arrays of one modality's embedder from posts.

    A featurizer may learn a vocabulary from the training posts (`update_vocab` per post, then
    `finalize`); the vocabulary is its `state`, which is saved with the model. By default there is
    none.

    images_root: folder that a relative `doc._.image` is relative to; set by `Featurizers`.
    """

    images_root: Path | None = None

    def update_vocab(self, doc: Doc) -> None:
        """Update the vocabulary with one training post."""
        return None

    def finalize(self) -> None:
        """Complete the vocabulary after the last training post."""
        return None

    def check_trainable(self, *, is_trained: bool) -> None:
        """Raise UsageError if the modality is for prediction alone.

        is_trained: as in `ImageModel.check_trainable`.
        """
        return None

    @abstractmethod
    def dims(self) -> dict[str, int]:
        """Return the sizes that the modality's embedder is built with, by argument name."""

    @abstractmethod
    def __call__(self, batch: PostBatch) -> Arrays | ImageFeatures:
        """Return the embedder's inputs by name, with statuses if the modality reads images."""

    @property
    def state(self) -> dict[str, Any]:
        """The vocabulary, as JSON-serializable types."""
        return {}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        return None

    @property
    def settings(self) -> dict[str, Any]:
        """The config's arguments that change predictions and are not part of `dims()`."""
        return {}

    @property
    def reads(self) -> tuple[str, ...]:
        """Which of `IMAGE_ATTRIBUTES` and "image_text" the modality reads."""
        return ()

    def region_names(self, doc: Doc) -> list[str]:
        """Return the names of a post's regions in order, empty if regions have no names."""
        return []

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        """Return the fingerprint of the external resource that features depend on.

        External means not part of the model: word vectors, an image encoder. None without one.
        Raises ImportError, OSError or ValueError if it is missing or unusable.
        """
        return None

    @property
    def saved_encoder(self) -> SavedEncoder | None:
        """The image encoder whose weights are saved with the pipeline, if there is one."""
        return None

    def restore_encoder(self, data: bytes) -> None:
        """Load what `saved_encoder.weights_to_bytes` returned."""
        return None

    def set_image_cache(self, disk: DiskCache | None) -> None:
        """Cache the outputs of a frozen image network on disk, or only in memory if None."""
        return None


class Featurizers:
    """The featurizers of a model by modality name, in the order of the config."""

    def __init__(self, by_name: Mapping[str, Featurizer]):
        self.by_name = dict(by_name)
        self._images_root: Path | None = None
        self._warn = MaskedImageWarnings()

    @property
    def images_root(self) -> Path | None:
        """The folder of relative image paths: a setting of the component, hence not saved here."""
        return self._images_root

    @images_root.setter
    def images_root(self, folder: Path | None) -> None:
        self._images_root = folder
        for featurizer in self.by_name.values():
            featurizer.images_root = folder

    def initialize(
        self,
        docs: Iterable[Doc],
        *,
        vocabularies: dict[str, Any] | None = None,
        image_cache: Path | None = None,
    ) -> None:
        """Learn the vocabularies in one pass over the training posts, unless they are given.

        image_cache: folder for the outputs of frozen image networks, used in this process only.
        """
        disk = None if image_cache is None else DiskCache(image_cache)
        for featurizer in self.by_name.values():
            featurizer.set_image_cache(disk)
        if vocabularies is not None:
            self.state = vocabularies
            return
        for doc in docs:
            for featurizer in self.by_name.values():
                featurizer.update_vocab(doc)
        for featurizer in self.by_name.values():
            featurizer.finalize()

    def check_trainable(self, *, is_trained: bool) -> None:
        """Raise UsageError if a modality is for prediction alone: see `Featurizer`."""
        for featurizer in self.by_name.values():
            featurizer.check_trainable(is_trained=is_trained)

    def dims(self) -> dict[str, dict[str, int]]:
        return {name: featurizer.dims() for name, featurizer in self.by_name.items()}

    def __call__(self, batch: PostBatch) -> FeatureBatch:
        """Compute the features of all modalities. Images that cannot be used are masked.

        Issues one ImageWarning per kind of reason over the lifetime of the component.
        """
        if batch.is_train:  # an optimized component may be trained without being initialized
            self.check_trainable(is_trained=True)
        arrays: dict[str, Arrays] = {}
        statuses = [ImageStatus(ABSENT)] * len(batch.docs)
        for name, featurizer in self.by_name.items():
            features = featurizer(batch)
            if isinstance(features, ImageFeatures):
                pairs = zip(statuses, features.statuses, strict=True)
                statuses = [one.merge(other) for one, other in pairs]
                features = features.arrays
            arrays[name] = features
        read = {attribute for one in self.by_name.values() for attribute in one.reads}
        for i, doc in enumerate(batch.docs):
            if statuses[i].kind == ABSENT:
                statuses[i] = ignored_status(doc, read) or statuses[i]
        used = (status for status in statuses if status.kind != IGNORED)
        reasons = (reason for status in used for reason in status.reasons)
        self._warn(reasons, remark="; doc._.image_status holds the reason for each post")
        return FeatureBatch(arrays, statuses)

    @property
    def state(self) -> dict[str, Any]:
        return {name: featurizer.state for name, featurizer in self.by_name.items()}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        if set(value) != set(self.by_name):
            raise ValueError(
                f"The vocabularies are those of the modalities {sorted(value)}, but the config "
                f"has {sorted(self.by_name)}. Use the config that they were saved with."
            )
        for name, state in value.items():
            self.by_name[name].state = state

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        return {name: featurizer.settings for name, featurizer in self.by_name.items()}

    def external_resources(self, vocab: Vocab) -> dict[str, str]:
        """Return the fingerprints of the modalities that have one (`resource_fingerprint`)."""
        found = {name: one.resource_fingerprint(vocab) for name, one in self.by_name.items()}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def saved_encoders(self) -> dict[str, SavedEncoder]:
        """The image encoders whose weights are saved with the pipeline, by modality."""
        found = {name: featurizer.saved_encoder for name, featurizer in self.by_name.items()}
        return {name: encoder for name, encoder in found.items() if encoder is not None}

    def to_bytes(self) -> bytes:
        return srsly.msgpack_dumps(self.state)

    def from_bytes(self, data: bytes) -> Featurizers:
        self.state = srsly.msgpack_loads(data)
        return self


# Thinc calls these two for every attribute of a model that it saves or loads.
@serialize_attr.register(Featurizers)
def _serialize_featurizers(_: Any, value: Featurizers, name: str, model: Any) -> bytes:
    return value.to_bytes()


@deserialize_attr.register(Featurizers)
def _deserialize_featurizers(value: Featurizers, data: bytes, name: str, model: Any) -> Featurizers:
    return value.from_bytes(data)
