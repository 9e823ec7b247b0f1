"""Compares a pretrained pipeline with training from scratch on growing parts of a corpus.

    python experiments/learning_curve.py en_mner_social_trf configs/pretrained_trf.cfg \\
        train.spacy valid.spacy OUT --sizes 50,200,1000,0 --seeds 0,1,2 --paths.encoder FOLDER

The pipeline is trained further with the config of `spacy-mner init --from`; from scratch, the other
config is used with the same corpora. For each seed the parts of the training corpus are nested, and
both systems are trained on the same parts. Further options override values of both configs, as with
`spacy train`; those of components have no effect on the pipeline. A finished run
(OUT/<system>-<posts>/<seed>/result.json) is never repeated.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from filelock import FileLock
from spacy.tokens import Doc
from spacy.util import dot_to_dict, get_package_path, is_package
from thinc.api import Config

from configs import read_config, set_budget
from grid import (
    COMMAND,
    MAX_WORKERS,
    Run,
    collect,
    exit_after,
    hash_files,
    identify,
    parse_runs,
    run_unfinished,
)
from markdown import NOTHING, markdown_table, percent
from page import Results, draw_lines
from spacy_mner.cli.init_from import config_from_pipeline
from spacy_mner.corpus.docbin import read_docs, write_docs

SYSTEMS = {"pretrained": "pretrained", "scratch": "from scratch"}
# How often dev is scored in a run.
N_EVALUATIONS = 10


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; `overrides` are dotted paths of the configs with their values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pipeline", help="pretrained pipeline: name or folder")
    parser.add_argument("config", type=Path, help="config that trains the same from scratch")
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path, help="selects the best step, and is scored")
    parser.add_argument("output", type=Path)
    parser.add_argument("--sizes", default="50,200,1000,0", help="numbers of posts; 0: all")
    parser.add_argument("--epochs", type=int, default=10, help="of a run that has enough steps")
    parser.add_argument("--min-steps", type=int, default=600, help="of a run; adds epochs")
    options = parse_runs(parser, words, "learning_curve.py")
    try:
        options.sizes = [int(size) for size in options.sizes.split(",")]
    except ValueError as error:
        parser.error(f"--sizes: {error}")
    options.workers = options.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    return options


def plan(options: argparse.Namespace) -> list[Run]:
    """Return the runs, the longest first; writes the parts of the training corpus."""
    docs = [doc for doc in read_docs(options.train, spacy.blank("xx").vocab) if len(doc)]
    sizes = sorted({min(size or len(docs), len(docs)) for size in options.sizes}, reverse=True)
    data = {"train": hash_files(options.train), "dev": hash_files(options.dev)}
    data["pipeline"] = hash_pipeline(options.pipeline)
    runs = []
    configs = configs_of(options)
    for size in sizes:
        parts = {seed: write_part(docs, size, seed, options.output) for seed in options.seeds}
        for system in SYSTEMS:
            config = configs[system].copy()
            epochs = set_steps(config, size, options)
            identity = identify(config, data)
            for seed, part in parts.items():
                job = {
                    "variant": f"{system}-{size}",
                    "system": system,
                    "seed": seed,
                    "epochs": epochs,
                    "training_posts": size,
                    "data": str(options.dev),
                    "images_root": config["paths"]["images_root"],
                    # Scored with the images of the posts alone.
                    "reads_images": False,
                    "gpu_id": options.gpu_id,
                    "keep_model": False,
                    "identity": identity,
                }
                folder = options.output / job["variant"] / str(seed)
                seeded = config.merge({"paths": {"train": str(part)}, "system": {"seed": seed}})
                runs.append(Run(folder, seeded, job))
    return runs


def configs_of(options: argparse.Namespace) -> dict[str, Config]:
    """Return the config of each system, with the same corpora."""
    pretrained = Config().from_str(config_from_pipeline(options.pipeline), interpolate=False)
    scratch = read_config(options.config)
    scratch["corpora"] = pretrained["corpora"]
    configs = {}
    for system, config in zip(SYSTEMS, (pretrained, scratch), strict=True):
        config = config.merge({"paths": {**pretrained["paths"], "dev": str(options.dev)}})
        config["training"].update(
            train_corpus="corpora.train",
            dev_corpus="corpora.dev",
            # All steps are done, and an interrupted run starts over.
            patience=0,
            before_to_disk=None,
        )
        configs[system] = config.merge(dot_to_dict(options.overrides))
    return configs


def set_steps(config: Config, n_posts: int, options: argparse.Namespace) -> int:
    """Set the number of steps in place, the same for both systems; return that of epochs."""
    per_epoch = math.ceil(n_posts / config["training"]["batcher"]["size"])
    epochs = max(options.epochs, math.ceil(options.min_steps / per_epoch))
    set_budget(config, n_posts, epochs)
    config["training"]["eval_frequency"] = max(1, epochs * per_epoch // N_EVALUATIONS)
    return epochs


def write_part(docs: Sequence[Doc], size: int, seed: int, output: Path) -> Path:
    """Write a random part of a corpus; smaller parts are contained in larger ones."""
    path = output / "parts" / f"{size}-{seed}.spacy"
    write_docs(random.Random(seed).sample(docs, len(docs))[:size], path)
    return path


def hash_pipeline(name: str) -> str:
    """Return a hash of the files of a pipeline."""
    return hash_files(get_package_path(name) if is_package(name) else Path(name))


def write_curve(options: argparse.Namespace, results: Results, missing: int) -> Path:
    """Write the table and the figure to the output folder; return the path of the table.

    missing: number of unfinished runs.
    """
    curves: dict[str, dict[int, list[float]]] = {title: {} for title in SYSTEMS.values()}
    finished: list[Any] = []
    for by_seed in results.values():
        finished += by_seed.values()
        system, size = (next(iter(by_seed.values()))[name] for name in ("system", "training_posts"))
        f1 = [result["scores"]["on"]["ents_f"] for result in by_seed.values()]
        curves[SYSTEMS[system]][size] = f1
    lines = ["# Learning curve", "", *(describe(options, finished) if finished else [])]
    lines += [f"- command: `{options.command}`", ""]
    if missing:
        lines += [f"**Not complete; unfinished runs: {missing}.**", ""]
    sizes = sorted({size for curve in curves.values() for size in curve})
    rows = [
        [f"{size:,}", *cells_of([curve.get(size) for curve in curves.values()])] for size in sizes
    ]
    lines += markdown_table(["posts", *curves, "difference"], rows)
    lines += ["", "F1 in percent, mean ± standard deviation over seeds.", ""]
    if finished:
        percents = {
            title: {size: [100 * value for value in curve[size]] for size in sorted(curve)}
            for title, curve in curves.items()
        }
        settings = {"xlabel": "training posts", "xscale": "log"}
        draw_lines(percents, options.output / "learning_curve.svg", **settings)
        lines += ["![Learning curve](learning_curve.svg)", ""]
    page: Path = options.output / "learning_curve.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    return page


def cells_of(f1: Sequence[Sequence[float] | None]) -> list[str]:
    """Return the cells of a row: F1 of each system, and the difference of their means."""
    cells = [percent(values or []) for values in f1]
    pretrained, scratch = f1
    if not pretrained or not scratch:
        return [*cells, NOTHING]
    return [*cells, f"{100 * (statistics.mean(pretrained) - statistics.mean(scratch)):+.1f}"]


def describe(options: argparse.Namespace, finished: Sequence[Any]) -> list[str]:
    """Return the facts of all figures: data, protocol, tokens, systems, budget, machine."""
    size = finished[0]["scores"]["on"]
    entities = sum(counts[0] for counts in finished[0]["counts"])
    facts = {
        "data": f"{options.dev.name}: {size['posts']:,} posts, {size['tokens']:,} tokens, "
        f"{entities:,} entities, {size['posts_with_image']:,} posts with an image; it also selects "
        "the best step, so that figures on it are optimistic",
        "protocol": options.note,
        "tokens": finished[0]["tokens"],
        "pretrained": f"`{Path(options.pipeline).name}`, trained further as by `init --from`",
        "from scratch": f"`{options.config.name}`",
        "budget": f"{options.epochs} epochs, at least {options.min_steps} steps",
        "seeds": ", ".join(map(str, sorted({result["seed"] for result in finished}))),
        "machine": "; ".join(sorted({result["machine"] for result in finished})),
    }
    return [f"- {name}: {value}" for name, value in facts.items() if value]


def run_curve(options: argparse.Namespace, command: Sequence[str] = COMMAND) -> int:
    """Do the runs that are not finished and write the page; returns how many failed."""
    options.output.mkdir(parents=True, exist_ok=True)
    with FileLock(options.output / ".lock", timeout=0):
        runs = plan(options)
        return run_unfinished(
            runs,
            options.workers,
            command,
            lambda missing: write_curve(options, collect(runs), missing),
        )


if __name__ == "__main__":
    exit_after(run_curve, parse(sys.argv[1:]))
