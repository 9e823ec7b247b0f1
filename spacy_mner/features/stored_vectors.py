"""Rows of words in pretrained vectors that the component stores itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import spacy
from spacy.tokens import Doc
from thinc.backends import get_array_ops

from .batch import PostBatch
from .featurizer import Featurizer
from .words import frequent_words, number_words, row_of


def read_vectors(path: str | None, max_words: int) -> tuple[list[str], np.ndarray]:
    """Return the first words of a pipeline with vectors, and their vectors.

    path: of a folder as `spacy init vectors` writes it, or the name of an installed pipeline.
    max_words: number of rows from the top; published tables are sorted by frequency.

    Returns the words and float32 [n_words, dim]. Raises ValueError without a path or vectors, and
    for floret vectors, which have no words; OSError (E050) for a pipeline that does not exist.
    """
    if path is None:
        raise ValueError(
            "StoredVectors.v1 has no path: set it to a folder that `spacy init vectors` writes, "
            "such as --paths.vectors."
        )
    vocab = spacy.load(path).vocab
    table = vocab.vectors
    if not table.size or table.mode != "default":
        raise ValueError(
            f"StoredVectors.v1: {path} has no table with one vector per word. Use a folder that "
            "`spacy init vectors` writes in its default mode."
        )
    keys = sorted((row, key) for key, row in table.key2row.items() if row >= 0)[:max_words]
    rows = np.asarray([row for row, _ in keys])
    data = get_array_ops(table.data).to_numpy(table.data)
    return [vocab.strings[key] for _, key in keys], data[rows].astype(np.float32)


class StoredVectorsFeaturizer(Featurizer):
    """Returns the row of every distinct token, as written, else in lower case.

    path, max_words: as in `read_vectors`; read in `finalize`, afterwards the words are part of the
        `state`.
    finetune: assign rows of a learned table to the words of the training posts, in which the
        network learns an offset to the pretrained vectors. Only to words of letters: a pipeline
        that is shared does not contain the mentions and addresses of its training posts.
    """

    def __init__(self, path: str | None, *, max_words: int, finetune: bool):
        self.path = path
        self.max_words = max_words
        self.finetune = finetune
        self._dim = 0
        self._stored: dict[str, int] = {}
        self._learned: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    def update_vocab(self, doc: Doc) -> None:
        if self.finetune:
            self._counts.update(token.lower_ for token in doc if token.is_alpha)

    def finalize(self) -> None:
        words, vectors = read_vectors(self.path, self.max_words)
        learned = frequent_words(self._counts)
        self.state = {"dim": vectors.shape[1], "stored": words, "learned": learned}
        self._counts = Counter()

    def dims(self) -> dict[str, int]:
        return {"dim": self._dim, "n_stored": len(self._stored), "n_words": len(self._learned)}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        return {
            "stored_row": np.asarray([row_of(w, self._stored) for w in batch.words], np.int64),
            "row": np.asarray([row_of(w, self._learned) for w in batch.words], np.int64),
            "token": batch.token,
        }

    @property
    def state(self) -> dict[str, Any]:
        return {"dim": self._dim, "stored": [*self._stored], "learned": [*self._learned]}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._dim = value["dim"]
        self._stored = number_words(value["stored"])
        self._learned = number_words(value["learned"])
