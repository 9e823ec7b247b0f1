"""Figures and rows as Markdown tables have them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

NOTHING = "–"


def row(cells: Iterable[object]) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A whole table, line by line."""
    return [row(header), f"|{'-|' * len(header)}", *map(row, rows)]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation of a sample; a single value has no deviation."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def percent(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation of shares, in per cent; a missing share counts as zero."""
    if not values:
        return NOTHING
    return spread(*mean_and_deviation([100 * (value or 0.0) for value in values]))


def spread(mean: float, deviation: float | None) -> str:
    """A mean beside its deviation, if there is one."""
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"
