"""Table 3 of Moon et al. 2018: fewer known words, with and without modality attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import CorpusError
from ..visualize.markdown import NOTHING, table
from .experiment import Experiment, Options, Runs, Summary, variant_of
from .figures import compare, method, scores_over_seeds, shown_comparison, shown_percent
from .plot import draw_lines, require_matplotlib

KEEP = (1.0, 0.75, 0.5, 0.25)
WITHOUT, WITH = "wc-lample", "wc-attention"
# F1 on SnapCaptions, without attention and with it.
PAPER = {1.0: (48.8, 50.5), 0.75: (48.7, 50.1), 0.5: (47.8, 49.6), 0.25: (46.4, 48.7)}
NAMES = {WITHOUT: "without attention", WITH: "with attention"}

HEADER = (
    *("word vectors kept", "seeds", "F1 without attention", "F1 with attention"),
    *("difference", "95 %", "p", "paper: without", "paper: with"),
)
LEGEND = (
    "F1 of entity types in per cent, mean ± standard deviation over seeds. W + C: without "
    "attention is `wc-lample`, with it `wc-attention`. Words whose vector is taken away are "
    "unknown; what is kept at 25 % is kept at 50 %. paper: Moon et al. 2018 on SnapCaptions."
)


def check(options: Options) -> None:
    """Raise CorpusError where there is nothing to keep a share of, or no way to draw it."""
    if options.vectors is None:
        raise CorpusError(
            "table3 takes pretrained word vectors away: name some by --vectors "
            "(`spacy-mner vectors` makes them)."
        )
    require_matplotlib()


def summarize(runs: Runs) -> Summary:
    """The levels that have a finished run."""
    levels = []
    for keep in KEEP:
        keys = {system: variant_of(system, keep).key for system in NAMES}
        if not any(runs.get(key) for key in keys.values()):
            continue
        levels.append(
            {
                "keep": keep,
                "systems": {system: _system(runs, key) for system, key in keys.items()},
                "comparison": compare(runs, keys[WITH], keys[WITHOUT]),
                "paper": dict(zip(NAMES, PAPER[keep], strict=True)),
            }
        )
    return {"levels": levels}


def _system(runs: Runs, key: str) -> dict[str, Any]:
    by_seed = runs.get(key, {})
    return {"seeds": sorted(by_seed), **scores_over_seeds(by_seed.values(), "on")}


def render(summary: Summary) -> list[str]:
    """The table."""
    levels = summary["levels"]
    seeds = [len(system["seeds"]) for level in levels for system in level["systems"].values()]
    return [*table(HEADER, map(_row, levels)), "", LEGEND, "", method(max(seeds, default=0))]


def _row(level: dict[str, Any]) -> list[Any]:
    systems, comparison = level["systems"].values(), level["comparison"]
    seeds = dict.fromkeys(str(len(system["seeds"])) for system in systems)
    return [
        f"{100 * level['keep']:.0f} %",
        " / ".join(seeds),
        *(shown_percent(system["ents_f"]) for system in systems),
        *(shown_comparison(comparison["types"]) if comparison else [NOTHING] * 3),
        *level["paper"].values(),
    ]


def draw(summary: Summary, folder: Path) -> list[str]:
    """The figures as two lines: table3.svg."""
    lines = {}
    for system, name in NAMES.items():
        figures = {
            100 * level["keep"]: level["systems"][system]["ents_f"] for level in summary["levels"]
        }
        lines[name] = {
            x: (100 * figure["mean"], 100 * (figure["sd"] or 0.0))
            for x, figure in figures.items()
            if figure is not None
        }
    path = folder / "table3.svg"
    draw_lines(lines, path, x="word vectors kept (%)", y="F1 of entity types (%)")
    return [path.name]


EXPERIMENT = Experiment(
    name="table3",
    title="Fewer known words, with and without modality attention (Moon et al. 2018, table 3)",
    variants=tuple(variant_of(system, keep) for keep in KEEP for system in NAMES),
    check=check,
    summarize=summarize,
    render=render,
    draw=draw,
)
