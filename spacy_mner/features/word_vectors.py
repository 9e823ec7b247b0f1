"""Identity of the vocab's word vectors, and rows of words."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from spacy.vectors import Vectors
from spacy.vocab import Vocab
from thinc.backends import get_array_ops


class TrainingTable:
    """Identifies the word vectors that a model was trained with.

    dim: width of the vectors, 0 for a model that was trained without vectors.
    name: `describe_vectors` of the table; None if unknown, to be set from the first table of the
        right width.
    """

    def __init__(self, dim: int, name: str | None = None) -> None:
        self.dim = dim
        self.name = name
        # Data of the last table that passed the check. Not the Vectors: spaCy may replace its data.
        self._checked: Any = None

    def check(self, table: Vectors) -> None:
        """Raise ValueError unless this is the table of training."""
        if table.data is self._checked and table.shape[1] == self.dim:
            return
        found = describe_vectors(table)
        if table.shape[1] != self.dim or self.name not in (None, found):
            expected = self.name or f"word vectors of width {self.dim}"
            raise ValueError(
                f"The model was trained with {expected}, the vocab has {found}. Load the vectors "
                "that it was trained with, or train again with these."
            )
        self.name, self._checked = found, table.data

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        """Return `describe_vectors` of the vocab's table; None for a model without vectors.

        Raises ValueError if the table of training is known, and the vocab has another.
        """
        if not self.dim:
            return None
        if self._checked is not None:
            self.check(vocab.vectors)
            return self.name
        found = describe_vectors(vocab.vectors)
        if self.name in (None, found):
            self.name, self._checked = found, vocab.vectors.data
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_checked": None}  # vectors are pickled with the vocab


def find_rows(table: Vectors, words: list[str]) -> np.ndarray:
    """Return the row of each word, as written, else in lower case; -1 for unknown words."""
    to_numpy = get_array_ops(table.data).to_numpy
    rows: np.ndarray = to_numpy(table.find(keys=words)).copy()
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        rows[missing] = to_numpy(table.find(keys=[words[i].lower() for i in missing]))
    return rows


def describe_vectors(table: Vectors) -> str:
    """Return size, mode and fingerprint of a table; the order of its keys does not matter.

    Hashes the whole table: about 0.2 s for 160 MB.
    """
    if not table.size:
        return "no word vectors"
    data = get_array_ops(table.data).to_numpy(table.data, byte_order="<")
    keys = np.fromiter(table.key2row.keys(), np.uint64, len(table.key2row))
    rows = np.fromiter(table.key2row.values(), np.int64, len(table.key2row))
    order = np.argsort(keys)
    floret = (table.minn, table.maxn, table.hash_count, table.hash_seed, table.bow, table.eow)
    facts = (data.shape, data.dtype.str, table.mode, floret if table.mode == "floret" else None)
    digest = hashlib.sha256(repr(facts).encode())
    for array in (data, keys[order], rows[order]):
        digest.update(np.ascontiguousarray(array).data)
    size = " x ".join(f"{n:,}" for n in table.shape)
    return f"word vectors {size} ({table.mode}, {digest.hexdigest()[:16]})"
