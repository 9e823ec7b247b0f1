"""Word vectors of the pipeline's vocab, or the vocabulary of a learned table."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.vectors import Vectors
from spacy.vocab import Vocab
from thinc.backends import get_array_ops

from .batch import PostBatch
from .featurizer import Featurizer
from .word_vectors import TrainingTable, find_rows

logger = logging.getLogger("spacy")

# Words with fewer occurrences in training are unknown, so that "unknown" is trained.
MIN_COUNT = 2


def frequent_words(counts: Counter[str]) -> list[str]:
    """Return the words with at least `MIN_COUNT` occurrences, sorted."""
    return sorted(word for word, n in counts.items() if n >= MIN_COUNT)


def number_words(words: Sequence[str]) -> dict[str, int]:
    """Map each word to its row, from 1."""
    return {word: row for row, word in enumerate(words, start=1)}


def row_of(word: str, rows: Mapping[str, int]) -> int:
    """Return the row of a word as written, else in lower case; 0 if unknown."""
    return rows.get(word) or rows.get(word.lower(), 0)


class WordFeaturizer(Featurizer):
    """Looks up every distinct token in `nlp.vocab.vectors`, as written, else in lower case.

    If the vocab has no vectors, the vocabulary of a learned table is the words of the training
    posts, which is logged.

    finetune: assign rows of a learned table to the words of the training posts, in which the
        network learns an offset to the pretrained vectors; these do not change.

    A model requires the vectors that it was initialized with; raises ValueError for others.
    """

    def __init__(self, *, finetune: bool = False):
        self.finetune = finetune
        self.rows: dict[str, int] = {}
        self._table = TrainingTable(0)
        self._counts: Counter[str] = Counter()
        self._vocab: Vocab | None = None

    def update_vocab(self, doc: Doc) -> None:
        self._vocab = doc.vocab
        if not doc.vocab.vectors_length:
            self._counts.update(token.text for token in doc)
        elif self.finetune:
            self._counts.update(token.lower_ for token in doc)

    def finalize(self) -> None:
        if self._vocab is None:
            raise ValueError("WordVectors.v1 needs a training post to initialize.")
        self._table = TrainingTable(self._vocab.vectors_length)
        self.rows = number_words(frequent_words(self._counts))
        if self._table.dim:
            self._table.check(self._vocab.vectors)
        else:
            logger.info(
                "The vocab has no word vectors: learning a table of the %d words that occur at "
                "least twice in training. Set [initialize] vectors to use pretrained vectors.",
                len(self.rows),
            )
        self._counts, self._vocab = Counter(), None

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        return self._table.resource_fingerprint(vocab)

    def dims(self) -> dict[str, int]:
        return {"dim": self._table.dim, "n_words": len(self.rows)}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        words = batch.words
        vectors = np.zeros((len(words), self._table.dim), dtype=np.float32)
        known = np.zeros(len(words), dtype=bool)
        row = np.asarray([row_of(word, self.rows) for word in words], dtype=np.int64)
        if self._table.dim and words:
            vectors, known = self._look_up(batch.vocab.vectors, words)
        return {"vectors": vectors, "known": known, "row": row, "token": batch.token}

    def _look_up(self, table: Vectors, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the pretrained vectors [n_words, dim], and which words have one [n_words]."""
        self._table.check(table)
        ops = get_array_ops(table.data)
        if table.mode == "floret":  # composes vectors of character n-grams: no word is unknown
            vectors = ops.to_numpy(table.get_batch(words)).astype(np.float32)
            return vectors, np.ones(len(words), dtype=bool)
        rows = find_rows(table, words)
        known = rows >= 0
        vectors = np.zeros((len(words), self._table.dim), dtype=np.float32)
        vectors[known] = ops.to_numpy(table.data[ops.asarray(rows[known])])
        return vectors, known

    @property
    def state(self) -> dict[str, Any]:
        return {"dim": self._table.dim, "words": list(self.rows)}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._table = TrainingTable(value["dim"])
        self.rows = number_words(value["words"])
