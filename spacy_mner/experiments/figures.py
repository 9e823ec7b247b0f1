"""Figures that tables share: means over seeds, and comparisons of two variants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from ..evaluation.counts import PARTS
from ..evaluation.significance import paired_bootstrap
from ..visualize.markdown import NOTHING, mean_and_deviation, spread
from .experiment import Runs
from .result import Result

MEASURES = ("ents_p", "ents_r", "ents_f", "segmentation_p", "segmentation_r", "segmentation_f")
F1 = {"types": "ents_f", "segmentation": "segmentation_f"}


def over_seeds(
    results: Iterable[Result], value: Callable[[Result], float | None]
) -> dict[str, Any] | None:
    """A figure over the seeds that have it: mean, sd, by_seed. None where none has."""
    by_seed = {result["seed"]: value(result) for result in results}
    there = {seed: figure for seed, figure in by_seed.items() if figure is not None}
    if not there:
        return None
    mean, deviation = mean_and_deviation(list(there.values()))
    return {"mean": mean, "sd": deviation, "by_seed": {str(s): f for s, f in there.items()}}


def scores_over_seeds(results: Iterable[Result], images: str) -> dict[str, Any]:
    """Every measure over the seeds, with images "on", "off" or "shuffled"."""
    results = list(results)

    def figure(name: str) -> dict[str, Any] | None:
        return over_seeds(results, lambda result: result["scores"].get(images, {}).get(name))

    return {name: figure(name) for name in MEASURES}


def shown_percent(figure: dict[str, Any] | None) -> str:
    """A share over seeds in per cent."""
    if figure is None:
        return NOTHING
    deviation = figure["sd"]
    return spread(100 * figure["mean"], None if deviation is None else 100 * deviation)


def compare(runs: Runs, first: str, second: str) -> dict[str, Any] | None:
    """A paired bootstrap of two variants for `types` and `segmentation`, images on.

    None where one of them has no finished run.
    """
    if not runs.get(first) or not runs.get(second):
        return None
    return {
        "first": first,
        "second": second,
        **{
            measure: asdict(
                paired_bootstrap(_counts(runs, first, measure), _counts(runs, second, measure))
            )
            for measure in F1
        },
    }


def _counts(runs: Runs, variant: str, measure: str) -> np.ndarray:
    """[n_seeds, n_posts, 3]."""
    by_seed = [result["counts"]["on"][measure] for result in runs[variant].values()]
    return np.asarray([[counts[part] for part in PARTS] for counts in by_seed]).transpose(0, 2, 1)


def shown_comparison(comparison: dict[str, Any]) -> list[str]:
    """Difference in points, 95 % interval and p, as three cells."""
    low, high, p = comparison["low"], comparison["high"], comparison["p"]
    return [
        f"{100 * comparison['difference']:+.1f}",
        f"{100 * low:+.1f} … {100 * high:+.1f}",
        "< 0.001" if p < 0.001 else f"{p:.3f}",
    ]


def method(n_seeds: int) -> str:
    """How differences are judged, where a table has so many seeds at most."""
    drawn = "posts and seeds (10,000 resamples: the same posts for both, seeds for each by itself)"
    if n_seeds == 1:
        drawn = "posts (10,000 resamples, the same for both), with the chance of training left out"
    return (
        f"Paired bootstrap over {drawn}; 95 % interval, two-sided p, not corrected for the number "
        "of comparisons."
    )
