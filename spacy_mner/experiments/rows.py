"""A table of systems over seeds: the form that experiments on systems share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..visualize.markdown import table
from .experiment import Experiment, Runs, Summary, variant_of
from .figures import (
    MEASURES,
    compare,
    method,
    over_seeds,
    scores_over_seeds,
    shown_comparison,
    shown_percent,
)
from .systems import SYSTEMS

# System → F1 of entity types and of segmentation, as somebody published them.
Published = Mapping[str, tuple[float, float]]

HEADER = (
    *("modalities", "system", "seeds", "P", "R", "F1"),
    *("segm. P", "segm. R", "segm. F1", "F1, image off", "F1, image shuffled"),
    *("parameters", "s/epoch (wall / CPU)"),
)
PAPER_HEADER = ("paper: F1", "paper: segm. F1")
LEGEND = (
    "P, R, F1: entity types; segm.: entities whatever their type; in per cent, mean ± standard "
    "deviation over seeds. LazyImage off, shuffled: the same model without images and what is said "
    "of them, and with those of other posts. Seconds per epoch are those of training and of "
    "evaluation on dev, with the encoding of images in the run that sees them first."
)


def systems_experiment(
    name: str,
    title: str,
    systems: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    legend: Sequence[str] = (),
    paper: Published | None = None,
) -> Experiment:
    """An experiment that trains systems as they are, for a table of this form.

    pairs: systems that are compared, the first less the second.
    legend, paper: see `render_systems`.
    """
    return Experiment(
        name=name,
        title=title,
        variants=tuple(variant_of(key) for key in systems),
        summarize=lambda runs: summarize_systems(runs, systems, pairs),
        render=lambda summary: render_systems(summary, legend, paper),
    )


def summarize_systems(
    runs: Runs, systems: Iterable[str], pairs: Iterable[tuple[str, str]]
) -> Summary:
    """The rows that have a finished run, and the comparisons of those (first less second)."""
    rows = [_summarize_row(key, runs) for key in systems if runs.get(key)]
    compared = [compare(runs, first, second) for first, second in pairs]
    return {"rows": rows, "comparisons": [one for one in compared if one is not None]}


def _summarize_row(key: str, runs: Runs) -> dict[str, Any]:
    results = list(runs[key].values())
    system = SYSTEMS[key]
    return {
        "system": key,
        "modalities": system.modalities,
        "title": system.title,
        "seeds": sorted(runs[key]),
        "images": {mode: scores_over_seeds(results, mode) for mode in ("on", "off", "shuffled")},
        "parameters": results[0]["parameters"],
        "seconds_per_epoch": {
            "wall": over_seeds(results, lambda r: r["training"]["seconds_per_epoch"]["wall"]),
            "cpu": over_seeds(results, lambda r: r["training"]["seconds_per_epoch"]["cpu"]),
        },
        "best_epoch": over_seeds(results, lambda r: r["training"]["best_epoch"]),
    }


def render_systems(
    summary: Summary, legend: Sequence[str] = (), paper: Published | None = None
) -> list[str]:
    """The table, and the comparisons below it.

    legend: what is to be said beside what every such table says.
    paper: published figures to stand beside ours.
    """
    header = HEADER if paper is None else (*HEADER, *PAPER_HEADER)
    lines = [
        *table(header, (_row(row, paper) for row in summary["rows"])),
        "",
        " ".join([LEGEND, *legend]),
    ]
    if summary["comparisons"]:
        found = _comparisons(summary["comparisons"], paper)
        seeds = max(len(row["seeds"]) for row in summary["rows"])
        lines += ["", "## Differences", "", *found, "", method(seeds)]
    return lines


def _row(row: dict[str, Any], paper: Published | None) -> list[Any]:
    images, seconds = row["images"], row["seconds_per_epoch"]
    return [
        row["modalities"],
        f"`{row['system']}`: {row['title']}",
        len(row["seeds"]),
        *(shown_percent(images["on"][name]) for name in MEASURES),
        *(shown_percent(images[mode]["ents_f"]) for mode in ("off", "shuffled")),
        f"{row['parameters']:,}",
        " / ".join(f"{seconds[clock]['mean']:.1f}" for clock in ("wall", "cpu")),
        *((paper or {}).get(row["system"], ())),
    ]


def _comparisons(comparisons: list[dict[str, Any]], paper: Published | None) -> list[str]:
    header = ["difference", "F1", "95 %", "p", "segm. F1", "95 %", "p"]
    rows = []
    for one in comparisons:
        names = f"`{one['first']}` − `{one['second']}`"
        shown = [*shown_comparison(one["types"]), *shown_comparison(one["segmentation"])]
        rows.append([names, *shown])
        if paper is not None:
            rows[-1].append(f"{paper[one['first']][0] - paper[one['second']][0]:+.1f}")
    return table([*header, "paper: F1"] if paper is not None else header, rows)
