"""Table 1 of Moon et al. 2018: eight systems, what each part is worth."""

from __future__ import annotations

from itertools import pairwise

from .experiment import Experiment, Runs, Summary, variant_of
from .rows import render_systems, summarise_systems

# F1 on SnapCaptions: entity types, segmentation.
PAPER = {
    "c": (8.5, 18.6),
    "w": (44.6, 62.4),
    "wc-aguilar": (47.4, 67.3),
    "wc-mahovy": (48.7, 68.0),
    "wc-lample": (48.8, 68.4),
    "wc-attention": (50.5, 68.9),
    "wcv-concatenation": (51.4, 69.1),
    "wcv-attention": (52.4, 68.0),
}
# Better → than; then each row with the one above it.
OF_INTEREST = [("wcv-attention", "wc-lample"), ("wc-attention", "wc-lample")]
PAIRS = list(dict.fromkeys([*OF_INTEREST, *((b, a) for a, b in pairwise(PAPER))]))
LEGEND = (
    "paper: Moon et al. 2018 on SnapCaptions, other data, so that only the order of rows compares."
)


def summarise(runs: Runs) -> Summary:
    """The rows that have a finished run, and the comparisons of those."""
    return summarise_systems(runs, PAPER, PAIRS)


def render(summary: Summary) -> list[str]:
    """The table, beside the paper's figures."""
    return render_systems(summary, [LEGEND], PAPER)


EXPERIMENT = Experiment(
    name="table1",
    title="Eight systems (Moon et al. 2018, table 1)",
    variants=tuple(variant_of(key) for key in PAPER),
    summarise=summarise,
    render=render,
)
