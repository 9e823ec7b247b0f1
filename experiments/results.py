"""Writes the results page of the sample project: scores over seeds, with and without images.

    python experiments/results.py metrics results/README.md

METRICS is a folder of <system>-<images>-<seed>.json, as `spacy-mner evaluate --output` writes them.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from markdown import markdown_table, percent

NAMES = {"mner": "word + char + image", "text": "word + char"}
IMAGES = {"on": "as they are", "off": "removed", "shuffled": "of other posts"}
MEASURES = ("ents_p", "ents_r", "ents_f", "segmentation_f")

# (system, images) → seed → scores.
Scores = dict[tuple[str, str], dict[int, dict[str, Any]]]

PAGE = """# Results on the sample corpus

The sample corpus is a demonstration: its posts are written so that the image decides.
It shows that the components work, not how well they do on real posts.

- data: `{data}`, {posts} posts, {tokens} tokens, {posts_with_image} posts with an image
- seeds: {seeds}; mean ± standard deviation over seeds
- machine: {machine}
- command: `python -m spacy project run all` (one seed), `python -m spacy project run seeds` (three)

{table}

{by_type}
"""


def read_scores(folder: Path) -> Scores:
    """Return all scores in a folder, in the order of the table."""
    found: Scores = defaultdict(dict)
    for path in folder.glob("*-*-*.json"):
        system, images, seed = path.stem.rsplit("-", 2)
        found[system, images][int(seed)] = json.loads(path.read_text(encoding="utf-8"))
    order = [(system, images) for system in NAMES for images in IMAGES]
    return {key: found[key] for key in order if key in found}


def render(scores: Scores) -> str:
    """Return the page in Markdown."""
    rows = []
    types: dict[str, list[dict[str, Any]]] = {}
    for (system, images), by_seed in scores.items():
        runs = list(by_seed.values())
        figures = [percent(run[name] for run in runs) for name in MEASURES]
        rows.append([NAMES[system], IMAGES[images], len(runs), *figures])
        if images == "on":
            types[NAMES[system]] = [run["ents_per_type"] or {} for run in runs]
    labels = sorted({label for runs in types.values() for run in runs for label in run})
    by_type = [
        [name, *(percent(run.get(label, {}).get("f") for run in runs) for label in labels)]
        for name, runs in types.items()
    ]
    header = ("system", "images", "seeds", "P", "R", "F1", "segmentation F1")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    seeds = sorted({seed for by_seed in scores.values() for seed in by_seed})
    return PAGE.format(
        **{**next(iter(next(iter(scores.values())).values())), "machine": machine},
        seeds=", ".join(map(str, seeds)),
        table="\n".join(markdown_table(header, rows)),
        by_type="\n".join(markdown_table(["F1 by type", *labels], by_type)),
    )


def main(metrics: str, output: str) -> None:
    scores = read_scores(Path(metrics))
    if not scores:
        sys.exit(f"No <system>-<images>-<seed>.json in {metrics}: run the project first.")
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(render(scores), encoding="utf-8")
    print(f"Wrote {output}")


if __name__ == "__main__":
    main(*sys.argv[1:])
