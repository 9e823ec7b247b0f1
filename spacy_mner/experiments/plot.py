"""Plots, by matplotlib, which is an extra."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import CorpusError

# Apart in lightness as well as in hue, so that they stay two in a gray print.
COLORS = ("#0b3c6f", "#d9731a", "#3f8f5f", "#8a5aa8")
MARKERS = ("o", "s", "^", "D")
# Of the figure, in inches.
HEIGHT = 4.0
# Between two names, in points.
GAP = 14
# Between two lines, as a share of the x axis.
BESIDE = 0.015


def require_matplotlib() -> None:
    """Raise CorpusError, with the remedy, where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise CorpusError("The plot needs matplotlib: pip install 'spacy-mner[plot]'.")


def draw_lines(
    lines: Mapping[str, Mapping[float, tuple[float, float]]], path: Path, *, x: str, y: str
) -> None:
    """Write lines with error bars as SVG, each with its name at its right end.

    lines: name → x → (value, half the length of its error bar). Lines stand a little beside each
        other, so that their bars can be told apart.
    """
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure

    shown = {name: dict(sorted(points.items())) for name, points in lines.items() if points}
    # Text stays text, and the same figures give the same file.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spacy-mner"}):
        figure = Figure(figsize=(6.4, HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        ticks = sorted({x for points in shown.values() for x in points})
        for i, points in enumerate(shown.values()):
            beside = BESIDE * (i - (len(shown) - 1) / 2) * (ticks[-1] - ticks[0])
            _draw_line(axes, [x + beside for x in points], points.values(), i)
        axes.set(xlabel=x, ylabel=y, xticks=ticks)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        _write_names(axes, shown)
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def _draw_line(axes: Any, places: list[float], points: Iterable, number: int) -> None:
    values, errors = zip(*points, strict=True)
    style = {"color": COLORS[number], "marker": MARKERS[number], "linewidth": 2}
    axes.errorbar(places, values, yerr=errors, capsize=4, elinewidth=1.2, **style)


def _write_names(axes: Any, lines: Mapping[str, dict]) -> None:
    """Each name at the end of its line, as far up or down as keeps them a line of text apart."""
    low, high = axes.get_ylim()
    in_points = 0.85 * HEIGHT * 72 / (high - low)
    ends = [(*list(points.items())[-1], name) for name, points in lines.items()]
    heights = spread_apart([(value - low) * in_points for _, (value, _), _ in ends])
    for color, (x, (value, _), name), height in zip(COLORS, ends, heights, strict=False):
        axes.annotate(
            name,
            (x, value),
            xytext=(14, height - (value - low) * in_points),
            textcoords="offset points",
            color=color,
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )


def spread_apart(heights: Sequence[float], gap: float = GAP) -> list[float]:
    """Move numbers so that any two are a gap apart, their order and their mean kept."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + gap)
    rise = sum(moved) - sum(heights)
    return [height - rise / len(heights) for height in moved]
