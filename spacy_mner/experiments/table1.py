"""Table 1 of Moon et al. 2018: eight systems, what each part is worth."""

from __future__ import annotations

from itertools import pairwise

from .rows import systems_experiment

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

EXPERIMENT = systems_experiment(
    "table1",
    "Eight systems (Moon et al. 2018, table 1)",
    tuple(PAPER),
    PAIRS,
    legend=[LEGEND],
    paper=PAPER,
)
