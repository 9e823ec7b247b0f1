"""Table 1 of Moon et al. 2018: eight systems, what each part is worth."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..report.markdown import NOTHING, table
from .experiment import Experiment, Runs, Summary, variant_of
from .figures import (
    MEASURES,
    METHOD,
    compare,
    over_seeds,
    scores_over_seeds,
    shown_comparison,
    shown_percent,
)
from .systems import SYSTEMS

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
PAIRS = list(dict.fromkeys([*OF_INTEREST, *((b, a) for a, b in pairwise(SYSTEMS))]))

HEADER = (
    *("modalities", "system", "seeds", "P", "R", "F1"),
    *("segm. P", "segm. R", "segm. F1", "F1, V off", "F1, V shuffled"),
    *("parameters", "s/epoch (wall / CPU)", "paper: F1", "paper: segm. F1"),
)
LEGEND = (
    "P, R, F1: entity types; segm.: entities whatever their type; in per cent, mean ± standard "
    "deviation over seeds. V off, V shuffled: the same model without pictures, and with those of "
    "other posts. Seconds per epoch are those of training and of evaluation on dev, with the "
    "encoding of pictures in the run that sees them first. paper: Moon et al. 2018 on "
    "SnapCaptions, other data, so that only the order of rows compares."
)


def summarise(runs: Runs) -> Summary:
    """The rows that have a finished run, and the comparisons of those."""
    rows = [_summarise_row(key, runs) for key in SYSTEMS if runs.get(key)]
    compared = [compare(runs, first, second) for first, second in PAIRS]
    return {"rows": rows, "comparisons": [one for one in compared if one is not None]}


def _summarise_row(key: str, runs: Runs) -> dict[str, Any]:
    results = list(runs[key].values())
    system = SYSTEMS[key]
    return {
        "system": key,
        "modalities": system.modalities,
        "title": system.title,
        "seeds": sorted(runs[key]),
        "pictures": {mode: scores_over_seeds(results, mode) for mode in ("on", "off", "shuffled")},
        "parameters": results[0]["parameters"],
        "seconds_per_epoch": {
            "wall": over_seeds(results, lambda r: r["training"]["seconds_per_epoch"]["wall"]),
            "cpu": over_seeds(results, lambda r: r["training"]["seconds_per_epoch"]["cpu"]),
        },
        "best_epoch": over_seeds(results, lambda r: r["training"]["best_epoch"]),
        "paper": dict(zip(("types", "segmentation"), PAPER[key], strict=True)),
    }


def render(summary: Summary) -> list[str]:
    """The table, and the comparisons below it."""
    lines = [*table(HEADER, map(_row, summary["rows"])), "", LEGEND]
    if summary["comparisons"]:
        lines += ["", "## Differences", "", *_comparisons(summary["comparisons"]), "", METHOD]
    return lines


def _row(row: dict[str, Any]) -> list[Any]:
    pictures, seconds = row["pictures"], row["seconds_per_epoch"]
    return [
        row["modalities"],
        row["title"],
        len(row["seeds"]),
        *(shown_percent(pictures["on"][name]) for name in MEASURES),
        *(shown_percent(pictures[mode]["ents_f"]) for mode in ("off", "shuffled")),
        f"{row['parameters']:,}",
        " / ".join(f"{seconds[clock]['mean']:.1f}" for clock in ("wall", "cpu")),
        *row["paper"].values(),
    ]


def _comparisons(comparisons: list[dict[str, Any]]) -> list[str]:
    header = ["difference", "F1", "95 %", "p", "segm. F1", "95 %", "p", "paper: F1"]
    rows = []
    for one in comparisons:
        first, second = one["first"], one["second"]
        paper = PAPER[first][0] - PAPER[second][0]
        shown = [*shown_comparison(one["types"]), *shown_comparison(one["segmentation"])]
        rows.append([f"{_name(first)} − {_name(second)}", *shown, f"{paper:+.1f}"])
    return table(header, rows)


def _name(key: str) -> str:
    return f"`{key}`" if key in SYSTEMS else NOTHING


EXPERIMENT = Experiment(
    name="table1",
    title="Eight systems (Moon et al. 2018, table 1)",
    variants=tuple(variant_of(key) for key in SYSTEMS),
    summarise=summarise,
    render=render,
)
