"""Tokens as sequences of character ids."""

from __future__ import annotations

import string
from collections import Counter
from typing import Any

import numpy as np
from spacy.tokens import Doc

from .batch import PostBatch
from .featurizer import Featurizer

PADDING, UNKNOWN = 0, 1
# Characters with fewer occurrences in training are unknown, so that "unknown" is trained.
MIN_COUNT = 2


class CharacterFeaturizer(Featurizer):
    """Maps the characters of distinct tokens to ids of an alphabet learned from training posts.

    The alphabet always includes printable ASCII, so that a few training posts suffice.

    max_characters: longer tokens (mostly links) are truncated to their first and last
        `max_characters / 2`, which limits the padding of a batch.
    """

    def __init__(self, *, max_characters: int = 40):
        if max_characters < 2:
            raise ValueError(f"max_characters must be at least 2, got {max_characters}")
        self.max_characters = max_characters
        self.ids: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    def update_vocab(self, doc: Doc) -> None:
        self._counts.update(doc.text)

    def finalize(self) -> None:
        frequent = {character for character, n in self._counts.items() if n >= MIN_COUNT}
        self._set_alphabet(sorted(frequent | set(string.printable)))
        self._counts = Counter()

    def _set_alphabet(self, characters: list[str]) -> None:
        self.ids = {c: i for i, c in enumerate(characters, start=UNKNOWN + 1)}

    @property
    def settings(self) -> dict[str, Any]:
        return {"max_characters": self.max_characters}

    def dims(self) -> dict[str, int]:
        return {"n_characters": len(self.ids) + UNKNOWN}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        words = [self._truncate(word) for word in batch.words]
        lengths = np.asarray([len(word) for word in words], dtype=np.int64)
        characters = np.full((len(words), lengths.max(initial=0)), PADDING, dtype=np.int64)
        flat = [self.ids.get(character, UNKNOWN) for word in words for character in word]
        characters[np.arange(characters.shape[1]) < lengths[:, None]] = flat
        return {"characters": characters, "lengths": lengths, "token": batch.token}

    def _truncate(self, word: str) -> str:
        if len(word) <= self.max_characters:
            return word
        half = self.max_characters // 2
        return word[:half] + word[-half:]

    @property
    def state(self) -> dict[str, Any]:
        return {"alphabet": list(self.ids)}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._set_alphabet(value["alphabet"])
