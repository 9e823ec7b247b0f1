"""The Markdown page of a table: its data, protocol and machine, its rows and their differences."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bootstrap import RESAMPLES, paired_bootstrap
from configs import MODEL, TABLES, describe_system, system_of
from markdown import markdown_table, percent

Result = Mapping[str, Any]
# Variant → seed → result.
Results = Mapping[str, Mapping[int, Result]]

MEASURES = ("ents_p", "ents_r", "ents_f", "segmentation_p", "segmentation_r", "segmentation_f")
HEADER = (
    *("modalities", "system", "seeds", "P", "R", "F1", "segm. P", "segm. R", "segm. F1"),
    *("F1, image off", "F1, image shuffled", "parameters", "s/epoch (wall / CPU)"),
)
LEGEND = (
    "P, R, F1: entity types; segm.: entity boundaries alone; in percent, mean ± standard deviation "
    "over seeds. Image off, shuffled: the same model without images and the text about them, or "
    "with those of other posts. Seconds per epoch include evaluation on dev, and the encoding of "
    "images in the run that encodes them first."
)
METHOD = (
    f"Paired bootstrap over posts and seeds ({RESAMPLES:,} resamples: the same posts for both "
    "systems, seeds for each independently; with one seed, posts only); 95 % interval, two-sided "
    "p, not corrected for the number of comparisons."
)


def write_page(
    options: argparse.Namespace, results: Results, missing: int, left_out: Mapping[str, str]
) -> Path:
    """Write OUT/<table>.md, for table3 with a figure; returns its path.

    missing: number of unfinished runs; left_out: variant → inputs that the corpus lacks.
    """
    table = TABLES[options.table]
    finished = list(chain.from_iterable(by_seed.values() for by_seed in results.values()))
    lines = [f"# {table['title']}", "", *(describe(options, finished) if finished else [])]
    lines += [f"- not run: `{name}`, the corpus lacks {what}" for name, what in left_out.items()]
    lines += [f"- command: `{options.command}`", ""]
    if missing:
        lines += [f"**Not complete; unfinished runs: {missing}.**", ""]
    lines += [*systems_table(table, results), "", f"{LEGEND} {table.get('legend', '')}".strip()]
    lines += ["", "## Differences", "", *differences(table, results), "", METHOD]
    if options.table == "table3":
        draw(results, options.output / "table3.svg")
        lines += ["", f"![{table['title']}](table3.svg)"]
    page: Path = options.output / f"{options.table}.md"
    page.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return page


def describe(options: argparse.Namespace, finished: list[Result]) -> list[str]:
    """Return the facts of all figures: data, split, protocol, tokens, seeds, machine."""
    some = finished[0]
    size, entities = some["scores"]["on"], sum(counts[0] for counts in some["counts"])
    cpu = [result["cpu_seconds"] / 60 for result in finished]
    facts = {
        "data": f"{options.corpus.name}, split {options.split}: {size['posts']:,} posts, "
        f"{size['tokens']:,} tokens, {entities:,} entities, {size['posts_with_image']:,} posts "
        f"with an image; {some['training_posts']:,} posts for training; dev selects the best step"
        + (", so that figures on it are optimistic" if options.split == "dev" else ""),
        "protocol": options.note,
        "tokens": some["tokens"],
        "V": "; ".join({_image_input(result["identity"]) for result in finished} - {""}),
        "image status of the scored posts": "; ".join(
            {str(r["scores"]["on"]["image_status"]) for r in finished if r["reads_images"]}
        ),
        "word vectors": _name(options, "paths.vectors") or "none, a learned table",
        "text encoder": _name(options, "paths.encoder"),
        "setting": f"{options.setting}, epochs {_values(finished, 'epochs')}",
        "seeds": _values(finished, "seed"),
        "machine": _values(finished, "machine"),
        "CPU minutes": f"{sum(cpu):.1f} for {len(cpu)} runs, training and evaluation",
    }
    return [f"- {name}: {value}" for name, value in facts.items() if value]


def _image_input(identity: Mapping[str, Any]) -> str:
    if f"{MODEL}.embed.image.@architectures" not in identity:
        return ""
    prefix = f"{MODEL}.embed.image.encoder."
    encoder = {n.removeprefix(prefix): v for n, v in identity.items() if n.startswith(prefix)}
    return ", ".join(f"{n} = {v}" for n, v in encoder.items()) or "descriptors of the corpus"


def _name(options: argparse.Namespace, path: str) -> str:
    value = options.overrides.get(path) or ""
    return Path(value).name if Path(value).is_absolute() else value


def _values(finished: list[Result], name: str) -> str:
    return ", ".join(map(str, sorted({result[name] for result in finished})))


def systems_table(table: Mapping[str, Any], results: Results) -> list[str]:
    """Return a row per variant that has a finished run."""
    rows = []
    for variant, published in table["systems"].items():
        if not (finished := list(results.get(variant, {}).values())):
            continue
        modalities, title = describe_system(system_of(variant)[0])
        seconds = np.mean([result["seconds_per_epoch"] for result in finished], axis=0)
        rows.append(
            [
                *(modalities, f"`{variant}`: {title}", len(finished)),
                *(_percent(finished, "on", measure) for measure in MEASURES),
                *(_percent(finished, images, "ents_f") for images in ("off", "shuffled")),
                f"{finished[0]['parameters']:,}",
                " / ".join(f"{clock:.1f}" for clock in seconds),
                *published,
            ]
        )
    n_published = max(map(len, table["systems"].values()))
    return markdown_table([*HEADER, *("paper: F1", "paper: segm. F1")[:n_published]], rows)


def _percent(finished: Iterable[Result], images: str, measure: str) -> str:
    return percent(result["scores"].get(images, {}).get(measure) for result in finished)


def differences(table: Mapping[str, Any], results: Results) -> list[str]:
    """Return a row per pair of variants that both have a finished run: F1 points, interval, p."""
    rows = []
    for pair in table["pairs"]:
        if not all(name in results for name in pair):
            continue
        first, second = ([r["counts"] for r in results[name].values()] for name in pair)
        found = paired_bootstrap(np.array(first), np.array(second))
        published = [table["systems"][name] for name in pair]
        rows.append(
            [
                " − ".join(f"`{name}`" for name in pair),
                f"{100 * found.difference:+.1f}",
                f"{100 * found.low:+.1f} … {100 * found.high:+.1f}",
                "< 0.001" if found.p < 0.001 else f"{found.p:.3f}",
                *([f"{published[0][0] - published[1][0]:+.1f}"] if all(published) else []),
            ]
        )
    is_published = any(table["systems"].values())
    header = ["difference", "F1", "95 %", "p", *(["paper: F1"] if is_published else [])]
    return markdown_table(header, rows)


def draw(results: Results, path: Path) -> None:
    """Draw F1 over the share of word vectors, a line per system, with one standard deviation."""
    lines: dict[str, dict[float, list[float]]] = {}
    for variant, by_seed in results.items():
        system, keep = system_of(variant)
        f1 = [100 * result["scores"]["on"]["ents_f"] for result in by_seed.values()]
        lines.setdefault(system, {})[100 * keep] = f1
    draw_lines(lines, path, xlabel="word vectors kept (%)")


def draw_lines(
    lines: Mapping[str, Mapping[Any, Sequence[float]]], path: Path, **axes_settings: Any
) -> None:
    """Draw F1 in percent with one standard deviation: label of a line → x → F1 of each seed."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.add_subplot(ylabel="F1 of entity types (%)", **axes_settings)
    for label, points in lines.items():
        means = [statistics.mean(f1) for f1 in points.values()]
        deviations = [statistics.stdev(f1) if len(f1) > 1 else 0.0 for f1 in points.values()]
        axes.errorbar(list(points), means, deviations, capsize=4, label=label)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
