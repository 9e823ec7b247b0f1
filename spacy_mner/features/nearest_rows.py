"""Exact search for the nearest rows of a table of word vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from spacy.vectors import Vectors
from thinc.backends import get_array_ops

# Where a row has fewer neighbors than were asked for.
NONE = -1
# A row that nobody has asked for yet.
_UNKNOWN = -2
# Bounds the memory of a search: similarities that are computed at once, the rows that are looked
# for at once, and pairs that are compared in double precision at once.
_SCORES = 1 << 22
_TOGETHER = 1024
_PAIRS = 1 << 14


class NearestRows:
    """For a row of a table, the other rows whose vectors have the largest cosines with its own.

    Neighbors are rows of words, so that words that share a row count as one; a row of zeros or
    of no word has no neighbors and is none. Among equal cosines the lower row comes first.
    Answers are those of double precision, and do not depend on what is searched for together.
    What was found is remembered: 4 bytes a neighbor for every row of the table, and no more.

    table: of the mode "default".
    n: neighbors of a row.
    """

    def __init__(self, table: Vectors, n: int) -> None:
        self.data = table.data
        self.n = n
        self._ops = get_array_ops(table.data)
        self._scale = _inverse_norms(self.data, self._ops)
        self._is_word = np.zeros(len(self._scale), dtype=bool)
        self._is_word[np.fromiter(table.key2row.values(), np.int64, len(table.key2row))] = True
        self._is_word &= self._scale > 0
        self._found = np.full((len(self._scale), n), _UNKNOWN, dtype=np.int32)
        # Rounding of a cosine in single precision, with room for that of both vectors.
        self._margin = (self.data.shape[1] + 8) * 2.0**-24

    def remember(self, rows: np.ndarray, neighbors: np.ndarray) -> None:
        """Take the neighbors [n_rows, n] of rows as found."""
        self._found[rows] = neighbors

    def find(self, rows: np.ndarray) -> np.ndarray:
        """The neighbors of rows, nearest first: int64 [n_rows, n], `NONE` where there is none."""
        missing = np.unique(rows[self._found[rows, 0] == _UNKNOWN])
        # Each row at once and whole, for other threads read what this one writes.
        self._found[missing[~self._is_word[missing]]] = NONE
        missing = missing[self._is_word[missing]]
        for start in range(0, len(missing), _TOGETHER):
            some = missing[start : start + _TOGETHER]
            self._found[some] = self._search(some)
        return self._found[rows].astype(np.int64)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of rows [...]: float32 [..., dim], zeros for `NONE`."""
        vectors = self._take(rows.reshape(-1), np.float32).reshape(*rows.shape, self.data.shape[1])
        vectors[rows == NONE] = 0
        return vectors

    def similarity(self, rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
        """The cosines of rows with their neighbors [n_rows, n]: float32, 0 for `NONE`."""
        pairs = neighbors != NONE
        cosines = np.zeros(neighbors.shape, dtype=np.float32)
        cosines[pairs] = self._cosines(rows[np.nonzero(pairs)[0]], neighbors[pairs])
        return cosines

    def _search(self, rows: np.ndarray) -> np.ndarray:
        """The neighbors of distinct rows of words, from one pass over the table."""
        best = np.full((len(rows), self.n), NONE, dtype=np.int64)
        cosines = np.full(best.shape, -np.inf)
        step = max(_SCORES // len(rows), 1)
        unit = self._take(rows, np.float64) * self._scale[rows, None]
        queries = self._ops.asarray(unit, dtype="float32")
        for start in range(0, len(self._scale), step):
            query, found = self._candidates(queries, cosines[:, -1], start, start + step)
            keep = found != rows[query]
            query, found = query[keep], found[keep]
            exact = self._cosines(rows[query], found)
            best, cosines = _merge(best, cosines, query, found, exact)
        return best

    def _candidates(
        self, queries: Any, worst: np.ndarray, start: int, end: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a query and a row that may be among its nearest; no such pair is left out.

        worst: the least of the cosines that were found so far for each query.
        """
        xp = self._ops.xp
        scores = queries @ self.data[start:end].astype("float32", copy=False).T
        scores *= xp.asarray(self._scale[start:end], dtype="float32")
        scores[:, xp.asarray(~self._is_word[start:end])] = -np.inf
        floor = worst
        # One more than are wanted: the query itself may be among them.
        place = scores.shape[1] - self.n - 1
        if place > 0 and np.isneginf(worst).any():
            nth = self._ops.to_numpy(xp.partition(scores, place, axis=1)[:, place])
            floor = np.maximum(worst, nth - self._margin)
        is_near = scores >= xp.asarray(floor - self._margin, dtype="float32")[:, None]
        # Ten times as fast as asking for both indices at once.
        flat = self._ops.to_numpy(xp.flatnonzero(is_near))
        query, found = flat // scores.shape[1], flat % scores.shape[1] + start
        return query[self._is_word[found]], found[self._is_word[found]]

    def _cosines(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The cosines of pairs of rows: float64 [n_pairs]."""
        cosines = np.zeros(len(first))
        for start in range(0, len(first), _PAIRS):
            one, other = first[start : start + _PAIRS], second[start : start + _PAIRS]
            # A sum along the row, not a matrix product: its rounding depends on nothing else.
            dots = (self._take(one, np.float64) * self._take(other, np.float64)).sum(axis=1)
            cosines[start : start + _PAIRS] = dots * self._scale[one] * self._scale[other]
        return cosines

    def _take(self, rows: np.ndarray, dtype: Any) -> np.ndarray:
        taken: np.ndarray = self._ops.to_numpy(self.data[self._ops.xp.asarray(rows)])
        return taken.astype(dtype)


def _inverse_norms(data: Any, ops: Any) -> np.ndarray:
    """1 / |v| of every row, 0 for one of zeros or of what is no number: float64 [n_rows]."""
    norms = np.zeros(data.shape[0])
    step = max(_SCORES // data.shape[1], 1)
    for start in range(0, len(norms), step):
        block = ops.to_numpy(data[start : start + step]).astype(np.float64)
        norms[start : start + step] = np.sqrt((block * block).sum(axis=1))
    usable = np.isfinite(norms) & (norms > 0)
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=usable)


def _merge(
    best: np.ndarray, cosines: np.ndarray, query: np.ndarray, found: np.ndarray, exact: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest so far [n_queries, n], once more pairs (query, found) are known."""
    n_queries, n = best.shape
    query = np.concatenate([np.repeat(np.arange(n_queries), n), query])
    found = np.concatenate([best.reshape(-1), found])
    exact = np.concatenate([cosines.reshape(-1), exact])
    order = np.lexsort((found, -exact, query))
    query = query[order]
    rank = np.arange(len(query)) - np.searchsorted(query, np.arange(n_queries))[query]
    order = order[rank < n]
    return found[order].reshape(n_queries, n), exact[order].reshape(n_queries, n)
