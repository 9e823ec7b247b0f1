"""Tokens as sequences of character ids."""

from __future__ import annotations

import string
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vocab import Vocab

from .batch import PostBatch
from .featurizer import Featurizer

PADDING, UNKNOWN = 0, 1
# A character seen once in training is treated as unknown, so that "unknown" is trained.
MIN_COUNT = 2


class CharacterFeaturizer(Featurizer):
    """Spells the distinct tokens in an alphabet learned from the training posts.

    The printable ASCII characters always belong to the alphabet, so that a model that was
    initialized from a few posts can spell.

    max_characters: of a longer token (a link, as a rule) only the first and the last
        `max_characters / 2` are read, to keep one token from slowing down all others.
    """

    def __init__(self, *, max_characters: int = 40):
        if max_characters < 2:
            raise ValueError(f"max_characters must be at least 2, got {max_characters}")
        self.max_characters = max_characters
        self.ids: dict[str, int] = {}
        self._forms: Counter[int] = Counter()
        self._vocab: Vocab | None = None

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        self._vocab = doc.vocab
        self._forms.update(doc.count_by(ORTH))

    def finalize(self) -> None:
        counts: Counter[str] = Counter()
        for form, n in self._forms.items():
            assert self._vocab is not None
            for character in self._vocab.strings[form]:
                counts[character] += n
        seen = {character for character, n in counts.items() if n >= MIN_COUNT}
        self._set_alphabet(sorted(seen | set(string.printable)))
        self._forms, self._vocab = Counter(), None

    def _set_alphabet(self, characters: list[str]) -> None:
        self.ids = {c: i for i, c in enumerate(characters, start=UNKNOWN + 1)}

    @property
    def settings(self) -> dict[str, Any]:
        return {"max_characters": self.max_characters}

    def dims(self) -> dict[str, int]:
        return {"n_characters": len(self.ids) + UNKNOWN}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        words = [self._shorten(word) for word in batch.words]
        lengths = np.asarray([len(word) for word in words], dtype=np.int64)
        characters = np.full((len(words), lengths.max(initial=0)), PADDING, dtype=np.int64)
        flat = [self.ids.get(character, UNKNOWN) for word in words for character in word]
        characters[np.arange(characters.shape[1]) < lengths[:, None]] = flat
        return {"characters": characters, "lengths": lengths, "token": batch.token}

    def _shorten(self, word: str) -> str:
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
