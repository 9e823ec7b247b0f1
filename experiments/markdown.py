"""Markdown tables, and means over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

NOTHING = "–"


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (header, *rows)]
    return [lines[0], f"|{'-|' * len(header)}", *lines[1:]]


def percent(values: Iterable[float | None]) -> str:
    """Return mean ± standard deviation in percent, without the values that are None."""
    shares = [100 * value for value in values if value is not None]
    if not shares:
        return NOTHING
    deviation = f" ± {statistics.stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{statistics.mean(shares):.1f}{deviation}"
