"""Runs an experiment: what is finished stays, what is not starts over."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from thinc.api import Config

from ..corpus.errors import CorpusError
from .compose import Overrides, compose
from .data import CorpusFolder, read_corpus
from .experiment import Experiment, Options, Runs, Variant
from .page import write_page
from .result import Result, asked_of, check_same, read_result
from .run import CONFIG, CONSOLE, Job
from .systems import DESCRIPTORS, SETTINGS, find

LOCK = ".lock"
# Each run holds the word vectors in memory.
MOST_WORKERS = 8


@dataclass(frozen=True)
class Run:
    """A variant with a seed: its folder, what it is asked to do, and its result if it is there."""

    folder: Path
    job: Job
    config: Config
    result: Result | None

    @property
    def name(self) -> str:
        return f"{self.job.variant} seed {self.job.seed}"


@dataclass(frozen=True)
class Outcome:
    """Of one run: its result, or why there is none."""

    run: Run
    result: Result | None
    reason: str = ""


def run_experiment(
    experiment: Experiment,
    options: Options,
    *,
    start: Callable[[list[Run]], None] = lambda runs: None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Do the runs that are not finished, seed by seed, and write the page after each.

    start: is told of all runs; report: of each that ends.
    Returns those that failed. Raises CorpusError, before anything runs, where the corpus or the
    options are not what the experiment needs, or where a finished run was asked something else.
    """
    experiment.check(options)
    corpus = read_corpus(options.corpus, options.split, options.vectors)
    options.output.mkdir(parents=True, exist_ok=True)
    with _alone(options.output):
        runs = plan(experiment, options, corpus)
        start(runs)
        finished = {run.folder: run.result for run in runs if run.result is not None}
        write_page(experiment, options, corpus, _by_variant(runs, finished))
        failed = []
        for outcome in _do([run for run in runs if run.result is None], options.workers):
            if outcome.result is None:
                failed.append(outcome)
            else:
                finished[outcome.run.folder] = outcome.result
                write_page(experiment, options, corpus, _by_variant(runs, finished))
            report(outcome)
    return failed


def plan(experiment: Experiment, options: Options, corpus: CorpusFolder) -> list[Run]:
    """All runs, the first seed of every variant first.

    Raises CorpusError where a finished one was asked to do something else.
    """
    return [
        _plan_run(variant, seed, options, corpus)
        for seed in dict.fromkeys(options.seeds)
        for variant in experiment.variants
    ]


def _plan_run(variant: Variant, seed: int, options: Options, corpus: CorpusFolder) -> Run:
    layers = _layers(variant, options, corpus)
    config = compose(*layers)
    folder = options.output / variant.key / str(seed)
    asked = asked_of(config, corpus.hashes, options.split)
    result = read_result(folder)
    if result is not None:
        check_same(folder, result, asked)
    job = Job(
        variant=variant.key,
        seed=seed,
        asked=asked,
        overrides={path: value for layer in layers for path, value in layer.items()},
        split=options.split,
        scored=str(corpus.files[options.split]),
        images_root=None if options.images_root is None else str(options.images_root),
        sees_pictures=variant.system.sees_pictures,
        keep_model=options.keep_models,
        gpu_id=options.gpu_id,
        threads=max(1, _cores() // options.workers),
    )
    return Run(folder, job, _with_paths(config, job, options, corpus), result)


def _layers(variant: Variant, options: Options, corpus: CorpusFolder) -> list[Overrides]:
    layers: list[Overrides] = [find(SETTINGS, options.setting, "setting")]
    if corpus.descriptors:
        layers.append(DESCRIPTORS)
    layers += [variant.system.overrides, variant.overrides]
    if options.epochs is not None:
        layers.append({"training.max_epochs": options.epochs})
    return [*layers, _once_an_epoch(compose(*layers), corpus)]


def _once_an_epoch(config: Config, corpus: CorpusFolder) -> Overrides:
    """Where an epoch has fewer steps than lie between two looks at dev, look at its end."""
    size = config["training"]["batcher"].get("size")
    if not isinstance(size, int):
        return {}
    # Steps count from 0.
    last = max(1, math.ceil(corpus.size["training_posts"] / size) - 1)
    return {"training.eval_frequency": last} if config["training"]["eval_frequency"] > last else {}


def _with_paths(config: Config, job: Job, options: Options, corpus: CorpusFolder) -> Config:
    config["paths"]["train"] = str(corpus.files["train"])
    config["paths"]["dev"] = str(corpus.files["dev"])
    config["paths"]["vectors"] = options.vectors
    config["paths"]["images_root"] = job.images_root
    config["system"]["seed"] = job.seed
    return config


def default_workers(gpu_id: int) -> int:
    """Runs side by side that a machine is used best by.

    The matrices of one post's step are too small for a second core to pay: two runs with a thread
    each take little longer than one with two.
    """
    return 1 if gpu_id >= 0 else min(_cores(), MOST_WORKERS)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _do(runs: list[Run], workers: int) -> Iterator[Outcome]:
    """Do runs side by side; their outcomes as they come."""
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        for future in as_completed([pool.submit(_do_run, run) for run in runs]):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _do_run(run: Run) -> Outcome:
    """A run in a fresh process, whose words go into a file."""
    prepare(run)
    command = [sys.executable, "-m", f"{__package__}.run", str(run.folder)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(run.job.threads),
        "ANSI_COLORS_DISABLED": "1",
    }
    with (run.folder / CONSOLE).open("w", encoding="utf-8") as console:
        ended = subprocess.run(
            command, stdout=console, stderr=subprocess.STDOUT, env=environment, check=False
        )
    result = read_result(run.folder)
    if ended.returncode or result is None:
        return Outcome(run, None, _reason(run.folder / CONSOLE, ended.returncode))
    return Outcome(run, result)


def prepare(run: Run) -> None:
    """Make the folder of a run anew, with what it is asked to do."""
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    run.job.write(run.folder)
    run.config.to_disk(run.folder / CONFIG)


def _reason(console: Path, code: int) -> str:
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else f'exit code {code}'} (see {console})"


def _by_variant(runs: list[Run], finished: dict[Path, Result]) -> Runs:
    by_variant: dict[str, dict[int, Result]] = {}
    for run in runs:
        if run.folder in finished:
            by_variant.setdefault(run.job.variant, {})[run.job.seed] = finished[run.folder]
    return by_variant


@contextlib.contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keep a second experiment out of a folder, whose unfinished runs it would delete.

    The system lets go of the lock when the process ends, however it ends. Windows has none.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (output / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CorpusError(f"Another experiment is at work in {output}: wait for it.") from None
        yield
