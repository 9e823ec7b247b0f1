"""Significance of the difference of two systems' F1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 10_000
# Resamples computed at once: bounds memory, does not change the result.
BATCH = 250


class Comparison(NamedTuple):
    """Difference of mean F1, its 95 % interval, and a two-sided p (shares, not percent)."""

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare two systems over posts and seeds (Koehn 2004; Efron & Tibshirani 1993).

    Each resample draws posts with replacement, the same for both systems, and seeds for each system
    independently. A system's score is the micro F1 over the drawn posts, averaged over the drawn
    seeds. p is twice the share of resamples on the rarer side of zero, where a difference of zero
    counts for both sides and one resample is added to each, so that p is never 0.

    first, second: int [n_seeds, n_posts, 3], numbers of annotated, predicted and correct entities
        per post, with the posts in the same order.
    Raises ValueError if the numbers of posts differ.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"different posts: {first.shape[1]} and {second.shape[1]}")
    samples = [np.arange(first.shape[1]), *(_seeds(counts) for counts in (first, second))]

    def difference(posts: np.ndarray, *seeds: np.ndarray, axis: int = -1) -> np.ndarray:
        drawn = [_mean_f1(c, posts, s) for c, s in zip((first, second), seeds, strict=True)]
        return drawn[0] - drawn[1]

    result = stats.bootstrap(
        samples,
        difference,
        n_resamples=resamples,
        batch=BATCH,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    drawn = result.bootstrap_distribution
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return Comparison(
        float(micro_f1(first.sum(1)).mean() - micro_f1(second.sum(1)).mean()),
        float(result.confidence_interval.low),
        float(result.confidence_interval.high),
        float(min(1.0, 2 * (rarer + 1) / (resamples + 2))),
    )


def micro_f1(counts: np.ndarray) -> np.ndarray:
    """Return F1 of counts [..., 3] (annotated, predicted, correct); 0 where there are none."""
    total = counts[..., 0] + counts[..., 1]
    return 2 * counts[..., 2] / np.where(total > 0, total, 1)


def _seeds(counts: np.ndarray) -> np.ndarray:
    # SciPy requires two observations; the same seed twice has no variance either.
    return np.arange(len(counts)) if len(counts) > 1 else np.zeros(2, int)


def _mean_f1(counts: np.ndarray, posts: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """F1 over posts [n_resamples, n_posts], averaged over seeds [n_resamples, n_seeds]."""
    by_seed = micro_f1(np.stack([one[posts].sum(-2) for one in counts], axis=-2))
    return np.take_along_axis(by_seed, seeds, axis=-1).mean(-1)
