"""The words that are most similar to a word, by the pipeline's own vectors."""

from __future__ import annotations

from pathlib import Path
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

REMEDY = "or leave SemanticAugmentation out of the config"


class AugmentationFeaturizer(Featurizer):
    """Gives every distinct token the vectors of its nearest words, and how similar they are.

    A token is looked up in `nlp.vocab.vectors` as written, else in lower case; words that share a
    row of the table are one word. The neighbors of the words of training are found when the model
    is initialized, and saved with it as rows of the table, without the vectors; those of other
    words are found when they first appear, and remembered by the process.

    n: neighbors of a word, fewer only where the table has fewer.

    A model belongs to the table that it was initialized with. Raises ValueError for another one,
    for none, and for one that makes up the vectors of words (floret).
    """

    def __init__(self, *, n: int = 4):
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.n = n
        self._table = TrainingTable(0)
        self._forms: set[int] = set()
        self._vocab: Vocab | None = None
        # The rows of the words of training, and their neighbors [n_rows, n].
        self._remember([], [])
        self._nearest: NearestRows | None = None

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        self._vocab = doc.vocab
        self._forms.update(doc.count_by(ORTH))

    def finalize(self) -> None:
        if self._vocab is None:
            raise ValueError("SemanticAugmentation needs at least one post to initialize from.")
        table = self._vocab.vectors
        _check_usable(table)
        self._table, self._nearest = TrainingTable(table.shape[1]), None
        self._remember([], [])
        nearest = self._search(table)
        words = [self._vocab.strings[form] for form in self._forms]
        rows = np.unique(find_rows(table, words)) if words else self._rows
        rows = rows[rows >= 0]
        self._remember(rows, nearest.find(rows))
        self._forms, self._vocab = set(), None

    def _remember(self, rows: ArrayLike, neighbors: ArrayLike) -> None:
        self._rows = np.asarray(rows, dtype=np.int64)
        self._neighbors = np.asarray(neighbors, dtype=np.int64).reshape(-1, self.n)

    def _search(self, table: Vectors) -> NearestRows:
        """The search of the table of training, which this must be."""
        self._table.check(table)
        if self._nearest is None or self._nearest.data is not table.data:
            nearest = NearestRows(table, self.n)
            nearest.remember(self._rows, self._neighbors)
            self._nearest = nearest
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
            nearest = self._search(table)
            rows = find_rows(table, batch.words)
            known = rows >= 0
            neighbors[known] = nearest.find(rows[known])
            vectors[known] = nearest.vectors(neighbors[known])
            similarity[known] = nearest.similarity(rows[known], neighbors[known])
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
                f"The saved vocabulary has {max(widths)} neighbors of each word, the config asks "
                f"for {self.n}. Set n back, or make the vocabulary anew."
            )
        self._table, self._nearest = TrainingTable(value["dim"], value["table"]), None
        self._remember(value["rows"], value["neighbors"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nearest": None}  # the vectors travel with the vocab


def _check_usable(table: Vectors) -> None:
    if not table.size:
        raise ValueError(
            "SemanticAugmentation needs word vectors, and the vocab has none. Set [initialize] "
            f"vectors to a pipeline that has some (`spacy init vectors` makes one), {REMEDY}."
        )
    if table.mode == "floret":
        raise ValueError(
            "SemanticAugmentation needs a table with a row for each word; floret vectors make up "
            "every word from its pieces. Set [initialize] vectors to a table of words "
            f"(`spacy init vectors` makes one), {REMEDY}."
        )
