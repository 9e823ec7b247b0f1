"""What every featurizer can do, and the featurizers of one model together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.model import deserialize_attr, serialize_attr

from .batch import PostBatch
from .image_status import ABSENT, ignored


class Featurizer(ABC):
    """Turns posts into the arrays that one modality's embedder takes.

    A featurizer may learn a vocabulary from the training posts (`update_vocab`, then `finalize`);
    what it learned is its `state`, which is saved with the model.
    """

    @abstractmethod
    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        """See one training post."""

    @abstractmethod
    def finalize(self) -> None:
        """Called when all training posts were observed."""

    @abstractmethod
    def dims(self) -> dict[str, int]:
        """The sizes that the modality's embedder is built with, by argument name."""

    @abstractmethod
    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        """The embedder's features, by name."""

    @property
    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learned, of types that JSON knows."""

    @state.setter
    @abstractmethod
    def state(self, value: dict[str, Any]) -> None: ...

    @property
    def settings(self) -> dict[str, Any]:
        """What the config says of it that bears on answers and is not in its `dims()`."""
        return {}

    @property
    def reads(self) -> tuple[str, ...]:
        """The attributes of a post's image that it looks at, of `IMAGE_ATTRIBUTES`."""
        return ()

    def region_names(self, doc: Doc, images_root: Path | None) -> list[str]:
        """What the regions of a post are called, in order; empty where they have no names."""
        return []

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        """Name what features come from and a saved model does not hold, with its fingerprint.

        None where there is no such thing. Raises ImportError, OSError or ValueError where it is
        not there, or not what it was in training.
        """
        return None


class Featurizers:
    """The featurizers of a model by modality name, in the order of the config.

    images_root: the folder that a relative `doc._.image` is relative to. It belongs to the
        component's settings, not to what was learned, and is therefore not saved here.
    preset: a state to initialize from in place of the training posts, or None.
    """

    def __init__(self, by_name: Mapping[str, Featurizer]):
        self.by_name = dict(by_name)
        self.images_root: Path | None = None
        self.preset: dict[str, Any] | None = None

    def initialize(self, docs: Iterable[Doc]) -> None:
        """Learn the vocabularies in one pass over the training posts, or take the preset ones."""
        if self.preset is not None:
            self.state = self.preset
            return
        for doc in docs:
            for featurizer in self.by_name.values():
                featurizer.update_vocab(doc, self.images_root)
        for featurizer in self.by_name.values():
            featurizer.finalize()

    def dims(self) -> dict[str, dict[str, int]]:
        return {name: featurizer.dims() for name, featurizer in self.by_name.items()}

    def __call__(self, batch: PostBatch) -> dict[str, dict[str, np.ndarray]]:
        features = {name: featurizer(batch) for name, featurizer in self.by_name.items()}
        read = {name for featurizer in self.by_name.values() for name in featurizer.reads}
        for i, doc in enumerate(batch.docs):
            # A modality says "absent" of a post that brings nothing of what it looks at itself.
            if batch.image_status[i] in ("", ABSENT):
                batch.image_status[i] = ignored(doc, read) or ABSENT
        return features

    @property
    def state(self) -> dict[str, Any]:
        return {name: featurizer.state for name, featurizer in self.by_name.items()}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        if set(value) != set(self.by_name):
            raise ValueError(
                f"The saved vocabularies are of the modalities {sorted(value)}, the config names "
                f"{sorted(self.by_name)}. Use the config they were saved with."
            )
        for name, state in value.items():
            self.by_name[name].state = state

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        return {name: featurizer.settings for name, featurizer in self.by_name.items()}

    def external_resources(self, vocab: Vocab) -> dict[str, str]:
        """The origins of the modalities that have one; raises as a featurizer's `origin`."""
        found = {name: one.resource_fingerprint(vocab) for name, one in self.by_name.items()}
        return {name: origin for name, origin in found.items() if origin is not None}

    def to_bytes(self) -> bytes:
        return srsly.msgpack_dumps(self.state)

    def from_bytes(self, data: bytes) -> Featurizers:
        self.state = srsly.msgpack_loads(data)
        return self


# Thinc asks these two for every attribute of a model that it saves or loads.
@serialize_attr.register(Featurizers)
def _serialize_featurizers(_: Any, value: Featurizers, name: str, model: Any) -> bytes:
    return value.to_bytes()


@deserialize_attr.register(Featurizers)
def _deserialize_featurizers(value: Featurizers, data: bytes, name: str, model: Any) -> Featurizers:
    return value.from_bytes(data)
