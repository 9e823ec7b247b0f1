"""Exact k-nearest-neighbor search by cosine in a table of word vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from spacy.vectors import Vectors
from thinc.backends import get_array_ops

# Fills the places of missing neighbors.
NONE = -1
# Marks rows whose neighbors are not computed yet.
_UNKNOWN = -2
# Limits of memory: similarities of one chunk of the table, queries of one search, and pairs whose
# cosines are computed in double precision at once.
_CHUNK_SCORES = 1 << 22
_MAX_QUERIES = 1024
_MAX_PAIRS = 1 << 14


class NearestRows:
    """The n rows of a table with the largest cosines to a row, itself excluded.

    Only rows that belong to a word and are not zero have neighbors and are neighbors; words that
    share a row count as one. Equal cosines are ordered by row. Cosines are compared in double
    precision, and results are independent of the batch. Results are cached (4 bytes per neighbor
    for every row of the table).

    table: of mode "default".
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
        # Upper bound of the rounding error of a cosine in single precision.
        self._margin = (self.data.shape[1] + 8) * 2.0**-24

    def cache(self, rows: np.ndarray, neighbors: np.ndarray) -> None:
        """Add the neighbors [n_rows, n] of rows to the cache."""
        self._found[rows] = neighbors

    def find(self, rows: np.ndarray) -> np.ndarray:
        """Return the neighbors of rows, nearest first: int64 [n_rows, n], padded with `NONE`."""
        missing = np.unique(rows[self._found[rows, 0] == _UNKNOWN])
        # Rows are written as a whole, because other threads read the cache meanwhile.
        self._found[missing[~self._is_word[missing]]] = NONE
        missing = missing[self._is_word[missing]]
        for start in range(0, len(missing), _MAX_QUERIES):
            queries = missing[start : start + _MAX_QUERIES]
            self._found[queries] = self._search(queries)
        return self._found[rows].astype(np.int64)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of rows [...]: float32 [..., dim], zeros for `NONE`."""
        vectors = self._take(rows.reshape(-1), np.float32).reshape(*rows.shape, self.data.shape[1])
        vectors[rows == NONE] = 0
        return vectors

    def similarity(self, rows: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
        """Return the cosines of rows and their neighbors [n_rows, n]: float32, 0 for `NONE`."""
        pairs = neighbors != NONE
        cosines = np.zeros(neighbors.shape, dtype=np.float32)
        cosines[pairs] = self._cosines(rows[np.nonzero(pairs)[0]], neighbors[pairs])
        return cosines

    def _search(self, rows: np.ndarray) -> np.ndarray:
        """Find the neighbors of distinct rows in one pass over the table."""
        best = np.full((len(rows), self.n), NONE, dtype=np.int64)
        cosines = np.full(best.shape, -np.inf)
        step = max(_CHUNK_SCORES // len(rows), 1)
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
        """Return a superset of the nearest pairs (query, row) in a chunk of the table.

        worst: for each query, the smallest cosine among its neighbors so far.
        """
        xp = self._ops.xp
        scores = queries @ self.data[start:end].astype("float32", copy=False).T
        scores *= xp.asarray(self._scale[start:end], dtype="float32")
        scores[:, xp.asarray(~self._is_word[start:end])] = -np.inf
        floor = worst
        # The n + 1 largest, because the query itself may be one of them.
        rank = scores.shape[1] - self.n - 1
        if rank > 0 and np.isneginf(worst).any():
            nth = self._ops.to_numpy(xp.partition(scores, rank, axis=1)[:, rank])
            floor = np.maximum(worst, nth - self._margin)
        is_near = scores >= xp.asarray(floor - self._margin, dtype="float32")[:, None]
        # Ten times as fast as nonzero on the matrix.
        flat = self._ops.to_numpy(xp.flatnonzero(is_near))
        query, found = flat // scores.shape[1], flat % scores.shape[1] + start
        return query[self._is_word[found]], found[self._is_word[found]]

    def _cosines(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the cosines of pairs of rows: float64 [n_pairs]."""
        cosines = np.zeros(len(first))
        for start in range(0, len(first), _MAX_PAIRS):
            one, other = first[start : start + _MAX_PAIRS], second[start : start + _MAX_PAIRS]
            # Unlike a matrix product, the rounding of a sum does not depend on the other rows.
            dots = (self._take(one, np.float64) * self._take(other, np.float64)).sum(axis=1)
            cosines[start : start + _MAX_PAIRS] = dots * self._scale[one] * self._scale[other]
        return cosines

    def _take(self, rows: np.ndarray, dtype: Any) -> np.ndarray:
        taken: np.ndarray = self._ops.to_numpy(self.data[self._ops.xp.asarray(rows)])
        return taken.astype(dtype)


def _inverse_norms(data: Any, ops: Any) -> np.ndarray:
    """Return 1 / |v| of every row, 0 for zero and non-finite vectors: float64 [n_rows]."""
    norms = np.zeros(data.shape[0])
    step = max(_CHUNK_SCORES // data.shape[1], 1)
    for start in range(0, len(norms), step):
        chunk = ops.to_numpy(data[start : start + step]).astype(np.float64)
        norms[start : start + step] = np.sqrt((chunk * chunk).sum(axis=1))
    usable = np.isfinite(norms) & (norms > 0)
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=usable)


def _merge(
    best: np.ndarray, cosines: np.ndarray, query: np.ndarray, found: np.ndarray, exact: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Merge more pairs (query, found) into the neighbors so far [n_queries, n]."""
    n_queries, n = best.shape
    query = np.concatenate([np.repeat(np.arange(n_queries), n), query])
    found = np.concatenate([best.reshape(-1), found])
    exact = np.concatenate([cosines.reshape(-1), exact])
    order = np.lexsort((found, -exact, query))
    query = query[order]
    rank = np.arange(len(query)) - np.searchsorted(query, np.arange(n_queries))[query]
    order = order[rank < n]
    return found[order].reshape(n_queries, n), exact[order].reshape(n_queries, n)
