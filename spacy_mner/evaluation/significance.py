"""Is one system better than another, beyond the chance of posts and seeds?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Resamples that are drawn at once: bounds memory, not results.
CHUNK = 500


@dataclass(frozen=True)
class Comparison:
    """What a paired bootstrap says of the difference of two systems' F1, as shares.

    difference: mean F1 over seeds of the first, less that of the second.
    low, high: the middle 95 % of the resampled differences.
    p: two-sided; how often, at most 1, the sign would turn by the chance of posts and seeds.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: np.ndarray, second: np.ndarray, *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare two systems over posts and over seeds (Koehn 2004; Efron & Tibshirani 1993).

    In each resample posts are drawn with replacement, the same for both systems, and seeds for
    each system by itself; a system's figure is the micro F1 over the drawn posts, averaged over
    the drawn seeds. p is twice the share of resamples on the rarer side of zero, where a
    difference of zero lies on both; one resample is added to each side, and so two to their
    number, so that p is never 0.

    first, second: int [n_seeds, n_posts, 3], entities that are annotated, predicted, and both, by
        post; the posts in one order, the seeds any, and not necessarily equally many.
    Raises ValueError where the posts differ in number or there are none.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise ValueError(
            "A paired comparison needs both systems' counts of the same posts, "
            f"got {first.shape[1]} and {second.shape[1]}"
        )
    random = np.random.default_rng(seed)
    differences = np.concatenate(
        [
            _resample(first, second, min(CHUNK, resamples - start), random)
            for start in range(0, resamples, CHUNK)
        ]
    )
    low, high = np.quantile(differences, (0.025, 0.975))
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return Comparison(
        difference=float(micro_f1(first.sum(1)).mean() - micro_f1(second.sum(1)).mean()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (rarer + 1) / (resamples + 2))),
    )


def micro_f1(counts: np.ndarray) -> np.ndarray:
    """F1 of counts [..., 3] (annotated, predicted, both); 0 where there is nothing."""
    total = counts[..., 0] + counts[..., 1]
    return 2 * counts[..., 2] / np.where(total > 0, total, 1)


def _resample(
    first: np.ndarray, second: np.ndarray, n: int, random: np.random.Generator
) -> np.ndarray:
    """The difference in n resamples."""
    n_posts = first.shape[1]
    drawn = random.integers(n_posts, size=(n, n_posts)) + n_posts * np.arange(n)[:, None]
    times = np.bincount(drawn.ravel(), minlength=n * n_posts).reshape(n, n_posts)
    return _figure(first, times, random) - _figure(second, times, random)


def _figure(counts: np.ndarray, times: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A system's figure in each resample, of which `times` says how often it has each post."""
    n_seeds, n_posts, _ = counts.shape
    flat = counts.transpose(1, 0, 2).reshape(n_posts, n_seeds * 3)
    by_seed = micro_f1((times @ flat).reshape(len(times), n_seeds, 3))
    seeds = random.integers(n_seeds, size=by_seed.shape)
    return np.take_along_axis(by_seed, seeds, axis=1).mean(axis=1)
