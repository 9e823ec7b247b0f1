"""Nearest words by the pipeline's word vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vectors import Vectors
from spacy.vocab import Vocab

from .batch import PostBatch
from .featurizer import Featurizer
from .nearest_rows import NONE, NearestRows
from .word_vectors import TrainingTable, find_rows

REMEDY = "or remove SemanticAugmentation.v1 from the config"


class AugmentationFeaturizer(Featurizer):
    """Vectors and cosine similarities of the nearest words of every distinct token.

    A token is looked up in `nlp.vocab.vectors` as written, else in lower case; words that share a
    row of the table are one word. The neighbors of training words are computed at initialization
    and saved as rows of the table; those of other words are computed on demand and cached in
    memory.

    n: neighbors of a word, fewer only if the table has fewer.

    A model requires the vectors that it was initialized with. Raises ValueError for others, for a
    vocab without vectors, and for floret vectors.
    """

    def __init__(self, *, n: int = 4):
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.n = n
        self._table = TrainingTable(0)
        self._orths: set[int] = set()
        self._vocab: Vocab | None = None
        # Rows of the training words, and their neighbors [n_rows, n].
        self._set_neighbors([], [])
        self._nearest: NearestRows | None = None

    def update_vocab(self, doc: Doc) -> None:
        self._vocab = doc.vocab
        self._orths.update(doc.count_by(ORTH))

    def finalize(self) -> None:
        if self._vocab is None:
            raise ValueError(
                "SemanticAugmentation.v1 needs at least one training post to initialize."
            )
        table = self._vocab.vectors
        _check_usable(table)
        self._table, self._nearest = TrainingTable(table.shape[1]), None
        self._set_neighbors([], [])
        nearest = self._nearest_rows(table)
        words = [self._vocab.strings[orth] for orth in self._orths]
        rows = np.unique(find_rows(table, words)) if words else self._rows
        rows = rows[rows >= 0]
        self._set_neighbors(rows, nearest.find(rows))
        self._orths, self._vocab = set(), None

    def _set_neighbors(self, rows: ArrayLike, neighbors: ArrayLike) -> None:
        self._rows = np.asarray(rows, dtype=np.int64)
        self._neighbors = np.asarray(neighbors, dtype=np.int64).reshape(-1, self.n)

    def _nearest_rows(self, table: Vectors) -> NearestRows:
        """Return the search in a table; raises ValueError unless it is that of training."""
        self._table.check(table)
        if self._nearest is None or self._nearest.data is not table.data:
            self._nearest = NearestRows(table, self.n)
            self._nearest.cache(self._rows, self._neighbors)
        return self._nearest

    @property
    def settings(self) -> dict[str, Any]:
        return {"n": self.n}

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        return self._table.resource_fingerprint(vocab)

    def dims(self) -> dict[str, int]:
        return {"dim": self._table.dim}

    def __call__(self, batch: PostBatch) -> dict[str, np.ndarray]:
        neighbors = np.full((len(batch.words), self.n), NONE, dtype=np.int64)
        vectors = np.zeros((*neighbors.shape, self._table.dim), dtype=np.float32)
        similarity = np.zeros(neighbors.shape, dtype=np.float32)
        if batch.words:
            table = batch.vocab.vectors
            nearest = self._nearest_rows(table)
            rows = find_rows(table, batch.words)
            has_row = rows >= 0
            neighbors[has_row] = nearest.find(rows[has_row])
            vectors[has_row] = nearest.vectors(neighbors[has_row])
            similarity[has_row] = nearest.similarity(rows[has_row], neighbors[has_row])
        return {
            "vectors": vectors,
            "similarity": similarity,
            "available": neighbors != NONE,
            "token": batch.token,
        }

    @property
    def state(self) -> dict[str, Any]:
        return {
            "table": self._table.name,
            "dim": self._table.dim,
            "rows": self._rows.tolist(),
            "neighbors": self._neighbors.tolist(),
        }

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        widths = {len(neighbors) for neighbors in value["neighbors"]}
        if widths - {self.n}:
            raise ValueError(
                f"The saved vocabulary has {max(widths)} neighbors per word, but the config has "
                f"n = {self.n}. Restore n, or train again."
            )
        self._table, self._nearest = TrainingTable(value["dim"], value["table"]), None
        self._set_neighbors(value["rows"], value["neighbors"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nearest": None}  # vectors are pickled with the vocab


def _check_usable(table: Vectors) -> None:
    if not table.size:
        raise ValueError(
            "SemanticAugmentation.v1 needs word vectors, but the vocab has none. Set [initialize] "
            f"vectors to a pipeline with vectors (see `spacy init vectors`), {REMEDY}."
        )
    if table.mode == "floret":
        raise ValueError(
            "SemanticAugmentation.v1 needs one row per word, but the vocab has floret vectors. "
            "Set [initialize] vectors to a pipeline with mode = default (see `spacy init "
            f"vectors`), {REMEDY}."
        )
