"""The results page of the sample project: scores over seeds, with and without images.

    python -m spacy_mner.visualize.results METRICS results/README.md

METRICS is a folder of `<system>-<images>-<seed>.json`, as `spacy-mner evaluate --output` writes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections import defaultdict
from pathlib import Path
from typing import Any

from .markdown import percent, table

NAMES = {"mner": "word + char + image", "text": "word + char"}
IMAGES = {"on": "as they are", "off": "taken away", "shuffled": "of other posts"}
MEASURES = ("ents_p", "ents_r", "ents_f", "segmentation_f")
HEADER = ("system", "images", "seeds", "P", "R", "F1", "segmentation F1")

Runs = dict[tuple[str, str], dict[int, dict[str, Any]]]


def read_runs(folder: Path) -> Runs:
    """Scores by (system, images) and seed. Raises ValueError where there are none."""
    runs: Runs = defaultdict(dict)
    for path in sorted(folder.glob("*-*-*.json")):
        system, images, seed = path.stem.rsplit("-", 2)
        runs[system, images][int(seed)] = json.loads(path.read_text(encoding="utf-8"))
    if not runs:
        raise ValueError(f"No <system>-<images>-<seed>.json in {folder}: run the project first.")
    return runs


def render(runs: Runs) -> str:
    """The page, in Markdown."""
    some = next(iter(next(iter(runs.values())).values()))
    seeds = sorted({seed for by_seed in runs.values() for seed in by_seed})
    lines = [
        "# Results on the sample corpus",
        "",
        "The sample corpus is a demonstration: its posts are written so that the image decides.",
        "It shows that the machinery works, not how well it does on real posts.",
        "",
        f"- data: `{some['data']}`, {some['posts']} posts, {some['tokens']} tokens, "
        f"{some['posts_with_image']} posts with an image",
        f"- seeds: {', '.join(map(str, seeds))}; mean ± standard deviation over seeds",
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "- command: `python -m spacy project run all` (one seed), "
        "`python -m spacy project run seeds` (three)",
        "",
    ]
    order = {key: i for i, key in enumerate((s, p) for s in NAMES for p in IMAGES)}
    keys = sorted(runs, key=lambda key: order.get(key, len(order)))
    lines += [*table(HEADER, (_row(key, runs[key]) for key in keys)), "", *_per_type(runs), ""]
    return "\n".join(lines)


def _row(key: tuple[str, str], by_seed: dict[int, dict[str, Any]]) -> list[Any]:
    system, images = key
    cells = [percent([scores[name] for scores in by_seed.values()]) for name in MEASURES]
    name = NAMES.get(system, system)
    return [name, IMAGES.get(images, images), len(by_seed), *cells]


def _per_type(runs: Runs) -> list[str]:
    """F1 by entity type, images on."""
    shown = {system: by_seed for (system, images), by_seed in runs.items() if images == "on"}
    found = {
        label
        for by_seed in shown.values()
        for scores in by_seed.values()
        for label in scores["ents_per_type"] or {}
    }
    labels = sorted(found)
    rows = []
    for system, by_seed in shown.items():
        cells = []
        for label in labels:
            per_type = [scores["ents_per_type"].get(label, {}) for scores in by_seed.values()]
            cells.append(percent([scores.get("f", 0.0) for scores in per_type]))
        rows.append([NAMES.get(system, system), *cells])
    return table(["F1 by type", *labels], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("metrics", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    page = render(read_runs(arguments.metrics))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(page, encoding="utf-8")
    print(f"Wrote {arguments.output}.")


if __name__ == "__main__":
    main()
