"""All runs of an experiment: their folders, their configs, and which are finished."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..errors import CorpusError
from .compose import Overrides, compose
from .data import CorpusFolder, hash_encoder, hash_files, read_corpus
from .experiment import Experiment, Options, Runs, Variant
from .images import look_at_images
from .requirements import encoder_of, lacks, opens_images, text_encoder_of
from .result import Asked, Result, asked_of, check_same, fingerprint, read_result
from .run import CONFIG, JOB, Job
from .system import DESCRIPTORS, GIVEN_OBJECTS, IMAGE, MODEL
from .systems import setting_of

# Each run holds the word vectors in memory.
MOST_WORKERS = 8
# Of so many parts of the steps, learning rates rise in one at most.
LONGEST_RISE = 5
# A run that was killed starts anew, and so needs no checkpoint that outlives a kill.
WITHOUT_CHECKPOINTS = {"training.before_to_disk": None}
WEIGHTS = f"{IMAGE}.encoder.weights"


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


def corpus_of(experiment: Experiment, options: Options) -> CorpusFolder:
    """The corpus, and its images where a variant opens them that is trained, or that was.

    Raises CorpusError where a part of it is missing.
    """
    corpus = read_corpus(options.corpus, options.split, options.vectors)
    for variant in experiment.variants:
        is_chosen = not options.systems or variant.system.key in options.systems
        if not (is_chosen or (options.output / variant.key).is_dir()):
            continue
        # Where the weights of an encoder lie does not matter here, and is checked later.
        layers = _layers(variant, replace(options, encoder_weights=None), corpus)
        if opens_images(compose(*layers, template=variant.system.template)):
            images = look_at_images(corpus.files, options.images_root)
            return replace(corpus, images=images)
    return corpus


def suited(experiment: Experiment, corpus: CorpusFolder) -> Experiment:
    """An experiment without the variants that read what a corpus does not have.

    Raises CorpusError where none is left.
    """
    missing = {variant.key: lacks(_config(variant), corpus) for variant in experiment.variants}
    left_out = {key: reason for key, reason in missing.items() if reason is not None}
    variants = tuple(one for one in experiment.variants if one.key not in left_out)
    if not variants:
        reasons = ", ".join(dict.fromkeys(left_out.values()))
        raise CorpusError(f"Nothing of {experiment.name} can be done without {reasons}.")
    return replace(experiment, variants=variants, left_out=left_out)


def asked_for(experiment: Experiment, options: Options) -> set[str]:
    """The keys of the variants that are to be trained.

    Raises CorpusError for a system that the experiment does not have.
    """
    systems = dict.fromkeys(variant.system.key for variant in experiment.variants)
    chosen = options.systems or tuple(systems)
    for name in chosen:
        if name not in systems:
            reason = (
                f", for want of {experiment.left_out[name]}" if name in experiment.left_out else ""
            )
            raise CorpusError(
                f"{experiment.name} has no system {name!r} here{reason}; there is "
                f"{', '.join(systems)}."
            )
    return {variant.key for variant in experiment.variants if variant.system.key in chosen}


def _config(variant: Variant) -> Config:
    system = variant.system
    return compose(system.overrides, variant.overrides, template=system.template)


def plan(experiment: Experiment, options: Options, corpus: CorpusFolder) -> list[Run]:
    """All runs, the first seed of every variant first.

    Raises CorpusError where a finished one was asked to do something else, where the folder of
    another one holds something else, and where the options do not go together.
    """
    if options.encoder_weights is not None:
        _check_weights(options.encoder_weights, options.setting, corpus)
    if options.encoder is not None and text_encoder_name(experiment, options) is None:
        raise CorpusError(f"--encoder is for a text encoder, and {experiment.name} has none.")
    return [
        _plan_run(variant, seed, options, corpus)
        for seed in dict.fromkeys(options.seeds)
        for variant in experiment.variants
    ]


def text_encoder_name(experiment: Experiment, options: Options) -> str | None:
    """The text encoder of the systems with a transformer, if there are any."""
    configs = map(_config, experiment.variants)
    names = (_encoder_name(one, options) for one in configs if text_encoder_of(one) is not None)
    return next(names, None)


def _check_weights(weights: Path, setting: str, corpus: CorpusFolder) -> None:
    encoder = encoder_of(compose(setting_of("base", setting)))
    if corpus.descriptors or encoder is None or "weights" not in encoder:
        raise CorpusError(
            "--encoder-weights is for the encoder of --setting paper, on posts with images."
        )
    if not weights.is_file():
        raise CorpusError(f"There is no file with weights at {weights}.")


def _plan_run(variant: Variant, seed: int, options: Options, corpus: CorpusFolder) -> Run:
    layers = _layers(variant, options, corpus)
    config = compose(*layers, template=variant.system.template)
    folder = options.output / variant.key / str(seed)
    asked = _asked(config, options, corpus)
    result = read_result(folder)
    if result is not None:
        check_same(folder, result, asked)
    else:
        check_folder(folder)
    job = Job(
        variant=variant.key,
        seed=seed,
        asked=asked,
        overrides={path: value for layer in layers for path, value in layer.items()},
        split=options.split,
        scored=str(corpus.files[options.split]),
        images_root=None if options.images_root is None else str(options.images_root),
        sees_images=variant.system.sees_images,
        keep_model=options.keep_models,
        gpu_id=options.gpu_id,
        epochs=options.epochs,
        threads=threads_of_a_run(options.workers),
    )
    return Run(folder, job, _with_paths(config, job, options, corpus), result)


def _layers(variant: Variant, options: Options, corpus: CorpusFolder) -> list[Overrides]:
    template = variant.system.template
    layers: list[Overrides] = [WITHOUT_CHECKPOINTS, setting_of(template, options.setting)]
    if options.encoder_weights is not None:
        layers.append({WEIGHTS: str(options.encoder_weights)})
    if options.mixed_precision:
        layers.append({f"{MODEL}.mixed_precision": True})
    if corpus.descriptors:
        layers.append(DESCRIPTORS)
    layers += [variant.system.overrides, variant.overrides]
    if "image_objects" in corpus.brings and variant.system.reads("objects"):
        layers.append(GIVEN_OBJECTS)
    settings = compose(*layers, template=template)["training"]
    steps = math.ceil(corpus.size["training_posts"] / settings["batcher"]["size"])
    layers.append(_once_an_epoch(settings, steps))
    if options.epochs is not None:
        layers.append(_budget(settings, options.epochs, steps))
    return layers


def _budget(settings: dict[str, Any], epochs: int, steps: int) -> Overrides:
    """So many epochs of so many steps, by what the config counts.

    Where it counts steps, learning rates fall to the last one: dev is looked at after each epoch,
    or the best weights might go by between the last look and the end.
    """
    if not settings["max_steps"]:
        return {"training.max_epochs": epochs}
    total = epochs * steps
    budget: dict[str, Any] = {"training.max_steps": total, "training.eval_frequency": steps}
    # Learning rates that rise for long would have no steps left to fall in.
    longest = max(1, total // LONGEST_RISE)
    for name, value in settings["optimizer"].items():
        schedule = value if isinstance(value, dict) else {}
        if schedule.get("warmup_steps", 0) > longest:
            budget[f"training.optimizer.{name}.warmup_steps"] = longest
        if "total_steps" in schedule:
            budget[f"training.optimizer.{name}.total_steps"] = total
    return budget


def _once_an_epoch(settings: dict[str, Any], steps: int) -> Overrides:
    """Where an epoch has fewer steps than lie between two looks at dev, look at its end."""
    last = max(1, steps - 1)  # Steps count from 0.
    return {"training.eval_frequency": last} if settings["eval_frequency"] > last else {}


def _asked(config: Config, options: Options, corpus: CorpusFolder) -> Asked:
    asked = asked_of(config, corpus.hashes, options.split)
    if text_encoder_of(config) is not None:
        asked["data"]["text encoder"] = hash_encoder(_encoder_name(config, options))
    if corpus.images is not None and opens_images(config):
        asked["data"]["images"] = corpus.images.hash
    if options.encoder_weights is not None and encoder_of(config) is not None:
        # What is in the file counts, and not where it lies.
        asked["config"][WEIGHTS] = options.encoder_weights.name
        asked["data"]["encoder weights"] = hash_files([options.encoder_weights])
    return asked


def _with_paths(config: Config, job: Job, options: Options, corpus: CorpusFolder) -> Config:
    config["paths"]["train"] = str(corpus.files["train"])
    config["paths"]["dev"] = str(corpus.files["dev"])
    config["paths"]["vectors"] = options.vectors
    config["paths"]["images_root"] = job.images_root
    if text_encoder_of(config) is not None:
        config["paths"]["encoder"] = _encoder_name(config, options)
    config["system"]["seed"] = job.seed
    return config


def _encoder_name(config: Config, options: Options) -> str:
    return options.encoder or config["paths"]["encoder"]


def finished_runs(output: Path, runs: Iterable[Run]) -> Runs:
    """All finished runs in a folder that were asked what these are, whatever their seeds."""
    asked = {run.job.variant: fingerprint(run.job.asked) for run in runs}
    found: dict[str, dict[int, Result]] = {}
    for variant, wanted in asked.items():
        folders = (folder for folder in (output / variant).glob("*") if folder.name.isdecimal())
        for folder in sorted(folders, key=lambda folder: int(folder.name)):
            result = read_result(folder)
            if result is not None and result["fingerprint"] == wanted:
                found.setdefault(variant, {})[result["seed"]] = result
    return found


def prepare(run: Run) -> None:
    """Make the folder of a run anew, with what it is asked to do."""
    check_folder(run.folder)
    if run.folder.exists():
        shutil.rmtree(run.folder)
    run.folder.mkdir(parents=True)
    run.job.write(run.folder)
    run.config.to_disk(run.folder / CONFIG)


def check_folder(folder: Path) -> None:
    """Raise CorpusError where the folder of a run, which is deleted, holds something else."""
    check_no_file(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / JOB).is_file():
        raise CorpusError(f"{folder} holds something that is no run: name another OUT.")


def check_no_file(folder: Path) -> None:
    """Raise CorpusError where a file stands in the place of a folder, or of one above it."""
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise CorpusError(f"{path} is no folder, which runs need: name another OUT.")


def default_workers(gpu_id: int) -> int:
    """Runs side by side that a machine is used best by.

    The matrices of one post's step are too small for a second core to pay: two runs with a thread
    each take little longer than one with two.
    """
    return 1 if gpu_id >= 0 else min(cores(), MOST_WORKERS)


def threads_of_a_run(workers: int) -> int:
    """A run's share of the cores; no more than `OMP_NUM_THREADS`, where a user has set it.

    Threads that find their cores taken by other jobs wait for one another at every step.
    """
    share = max(1, cores() // workers)
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(limit)) if limit.isdecimal() and int(limit) > 0 else share


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
