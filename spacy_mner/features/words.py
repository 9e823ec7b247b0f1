"""Word vectors of the pipeline's own table, or a vocabulary of the training words."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.backends import get_array_ops

from .batch import PostBatch
from .featurizer import Featurizer
from .word_vectors import TrainingTable, find_rows

logger = logging.getLogger("spacy")

# A word seen once in training is treated as unknown, so that "unknown" is trained.
MIN_COUNT = 2
# Resolution of the deterministic draw behind `keep`.
_BUCKETS = 10_007


class WordFeaturizer(Featurizer):
    """Looks every distinct token up in `nlp.vocab.vectors`: as written, else in lower case.

    Without vectors in the vocab, the words of the training posts become a vocabulary
    for a learned table instead, and a log line says so.

    keep: share of the word-vector vocabulary that is used, for measuring how a model copes
        with unknown words (Moon et al. 2018, table 3). Which words stay is a fixed function of
        the word, so that 25 % is a subset of 50 %. The others are unknown in every respect.
    finetune: give the words of the training posts rows of their own beside the vectors, in which
        the network keeps what it changes of them; the vectors themselves stay as they are.

    A model belongs to the table of vectors that it was initialized with: posts of a vocab with
    another one are refused.
    """

    def __init__(self, *, keep: float = 1.0, finetune: bool = False):
        if not 0.0 <= keep <= 1.0:
            raise ValueError(f"keep must be between 0 and 1, got {keep}")
        self.keep = keep
        self.finetune = finetune
        self.rows: dict[str, int] = {}
        self._table = TrainingTable(0)
        self._counts: Counter[str] = Counter()
        self._vocab: Vocab | None = None

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        self._vocab = doc.vocab
        if not doc.vocab.vectors_length:
            self._counts.update(token.text for token in doc)
        elif self.finetune:
            self._counts.update(token.lower_ for token in doc)

    def finalize(self) -> None:
        if self._vocab is None:
            raise ValueError("Word vectors need at least one post to initialize from.")
        self._table = TrainingTable(self._vocab.vectors_length)
        words = sorted(word for word, n in self._counts.items() if n >= MIN_COUNT)
        self.rows = {word: row for row, word in enumerate(words, start=1)}
        if self._table.dim:
            self._table.check(self._vocab.vectors)
        else:
            logger.info(
                "The vocab has no word vectors: learning a table of the %d words that occur at "
                "least twice in training. Set [initialize] vectors to use pretrained ones.",
                len(words),
            )
        self._counts, self._vocab = Counter(), None

    @property
    def settings(self) -> dict[str, Any]:
        return {"keep": self.keep}

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        return self._table.resource_fingerprint(vocab)

    def dims(self) -> dict[str, int]:
        return {"dim": self._table.dim, "n_words": len(self.rows)}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        words = batch.words
        vectors = np.zeros((len(words), self._table.dim), dtype=np.float32)
        known = np.zeros(len(words), dtype=bool)
        row = np.asarray([self._row(word) for word in words], dtype=np.int64)
        if self._table.dim and words:
            left_out = self._look_up(batch.vocab, words, vectors, known)
            row[left_out] = 0  # wholly unknown: fine-tuning would give them a vector again
        return {"vectors": vectors, "known": known, "row": row, "token": batch.token}

    def _row(self, word: str) -> int:
        """The word's row among those of training, as written or in lower case; 0 for none."""
        return self.rows.get(word) or self.rows.get(word.lower(), 0)

    def _look_up(
        self, vocab: Vocab, words: list[str], vectors: np.ndarray, known: np.ndarray
    ) -> np.ndarray:
        """Fill in the vectors of the words that have one, and say which these are.

        Returns bool [n_words], the words whose vector is among those that are left out.
        """
        table = vocab.vectors
        self._table.check(table)
        if table.mode == "floret":  # builds every word from its pieces: none is unknown
            vectors[:] = get_array_ops(table.data).to_numpy(table.get_batch(words))
            known[:] = True
            return ~known
        rows = find_rows(table, words)
        # Multiplying by a prime spreads neighboring rows, which are neighbors in frequency.
        is_kept = (rows * 7919) % _BUCKETS < self.keep * _BUCKETS
        known[:] = (rows >= 0) & is_kept
        ops = get_array_ops(table.data)
        vectors[known] = ops.to_numpy(table.data[ops.asarray(rows[known])])
        return (rows >= 0) & ~is_kept

    @property
    def state(self) -> dict[str, Any]:
        return {"dim": self._table.dim, "words": list(self.rows)}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._table = TrainingTable(value["dim"])
        self.rows = {word: row for row, word in enumerate(value["words"], start=1)}
