"""One run, one system with one seed, in a process of its own.

    python -m spacy_mner.experiments.run FOLDER [PARENT]

FOLDER holds `job.json` and `config.cfg`; `result.json` is written there, last. The process ends
when its parent, the process of that number, does.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.cli._util import setup_gpu
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST, train
from spacy.util import load_config

from ..about import __version__
from ..annotate.signals import end_with
from ..corpus.docbin import read_docs
from ..evaluation.counts import count_entities
from ..evaluation.evaluate import predict, score_prediction
from ..evaluation.image_ablation import IMAGE_CONDITIONS, ImageCondition, ShuffleError
from ..models.shim import TorchShim
from .result import Asked, fingerprint, write_result

JOB = "job.json"
CONFIG = "config.cfg"
LOG = "log.jsonl"
CONSOLE = "train.log"


@dataclass(frozen=True)
class Job:
    """What a run needs to know beside its config.

    asked: see `result.Asked`; overrides: what its config is made of, for the record.
    scored: the file of the split `split`. Paths are relative to the working directory.
    sees_images: score with images taken away and shuffled as well.
    epochs: the budget, if it was asked for in epochs; threads: that torch computes with.
    """

    variant: str
    seed: int
    asked: Asked
    overrides: dict[str, Any]
    split: str
    scored: str
    images_root: str | None
    sees_images: bool
    keep_model: bool
    gpu_id: int
    epochs: int | None
    threads: int

    def write(self, folder: Path) -> None:
        (folder / JOB).write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Job:
        return cls(**json.loads((folder / JOB).read_text(encoding="utf-8")))


def run(folder: Path) -> None:
    """Train and score what a folder asks for, and write the result there."""
    job = Job.read(folder)
    torch.set_num_threads(job.threads)
    setup_gpu(job.gpu_id, silent=True)
    nlp, training = train_best(folder, job)
    scores, counts = score(nlp, job)
    parameters = count_parameters(nlp)
    for name in (DIR_MODEL_BEST, DIR_MODEL_LAST):
        shutil.rmtree(folder / name, ignore_errors=True)
    if job.keep_model:
        nlp.to_disk(folder / DIR_MODEL_BEST)
    result = {
        "variant": job.variant,
        "seed": job.seed,
        "split": job.split,
        "fingerprint": fingerprint(job.asked),
        "overrides": job.overrides,
        "scores": scores,
        "parameters": parameters,
        "training": training,
        # Of all threads, from the start of the process.
        "cpu_seconds": time.process_time(),
        "machine": describe_machine(job),
        "asked": job.asked,
        "counts": counts,
    }
    write_result(folder, result)


def train_best(folder: Path, job: Job) -> tuple[Language, dict[str, Any]]:
    """Train by spaCy's own loop: the pipeline at its best step on dev, and how it went.

    Returns beside the pipeline `epochs` that were run, `best_epoch` (from 1) and `best_step`,
    `best_dev_score`, and `seconds_per_epoch`, `wall` and `cpu` (of all threads), which hold
    everything but the loading of vectors: updates, evaluation on dev, encoding of new images.
    """
    nlp = init_nlp(load_config(folder / CONFIG, interpolate=False), use_gpu=job.gpu_id)
    wall, cpu = time.perf_counter(), time.process_time()
    _train(nlp, folder, job.gpu_id)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    history = [json.loads(line) for line in (folder / LOG).read_text("utf-8").splitlines()]
    epochs = _epochs(nlp.config["training"], job.epochs, history)
    return nlp, {
        "epochs": epochs,
        **find_best(history, epochs),
        "seconds_per_epoch": {"wall": wall / epochs, "cpu": cpu / epochs},
    }


def find_best(history: list[dict[str, Any]], epochs: int) -> dict[str, Any]:
    """The look at dev whose model is kept: of equal scores spaCy keeps the last."""
    best = max(history, key=lambda row: (row["score"], row["step"]))
    return {
        # The step that spaCy goes beyond `max_steps` begins an epoch of its own.
        "best_epoch": min(best["epoch"] + 1, epochs),
        "best_step": best["step"],
        "best_dev_score": best["score"],
    }


def _train(nlp: Language, folder: Path, gpu_id: int) -> None:
    """Leave the pipeline as it was at its best step, and a line per evaluation in the log."""
    logger = nlp.config["training"]["logger"]
    nlp.config["training"]["logger"] = {
        "@loggers": "spacy.ConsoleLogger.v3",
        "progress_bar": None,
        "console_output": True,  # into train.log as it goes on; the file is written at the end
        "output_file": str(folder / LOG),
    }
    # The vocab does not change in training, and its vectors take longer to write than an epoch.
    without_vocab: Any = partial(nlp.to_disk, exclude=["vocab"])
    nlp.to_disk = without_vocab  # type: ignore[method-assign]
    try:
        train(nlp, folder, use_gpu=gpu_id)
    finally:
        del nlp.to_disk
    nlp.from_disk(folder / DIR_MODEL_BEST, exclude=["vocab"])
    nlp.config["training"]["logger"] = logger


def _epochs(settings: dict[str, Any], asked: int | None, history: list[dict[str, Any]]) -> int:
    """Epochs that were run: the budget, or those begun at the last evaluation if one may stop."""
    if not settings["patience"]:
        if asked is not None:
            return asked
        if settings["max_epochs"] > 0 and not settings["max_steps"]:
            return settings["max_epochs"]
    return history[-1]["epoch"] + 1


def score(nlp: Language, job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores and counts by post of the scored split, each by what became of the images.

    Where images cannot be exchanged, "shuffled" is missing.
    """
    root = None if job.images_root is None else Path(job.images_root)
    docs = list(read_docs(Path(job.scored), nlp.vocab, root))
    modes: Iterable[ImageCondition] = IMAGE_CONDITIONS if job.sees_images else ("on",)
    scores: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    for mode in modes:
        try:
            prediction = predict(nlp, docs, images=mode, seed=job.seed)
        except ShuffleError as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        scores[mode] = score_prediction(prediction)
        counts[mode] = count_entities(prediction.examples)
    return scores, counts


def count_parameters(nlp: Language) -> int:
    """Trainable numbers of the networks; pretrained vectors are no part of them."""
    networks = [
        shim.network
        for _, pipe in nlp.pipeline
        for shim in getattr(getattr(pipe, "model", None), "shims", ())
        if isinstance(shim, TorchShim)
    ]
    return sum(p.numel() for net in networks for p in net.parameters() if p.requires_grad)


def describe_machine(job: Job) -> dict[str, Any]:
    """What the run was computed by."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": job.threads,
        "gpu": torch.cuda.get_device_name(job.gpu_id) if job.gpu_id >= 0 else None,
        "python": platform.python_version(),
        "spacy": spacy.__version__,
        "torch": str(torch.__version__),
        "spacy_mner": __version__,
    }


if __name__ == "__main__":
    if len(sys.argv) > 2:
        end_with(int(sys.argv[2]))
    run(Path(sys.argv[1]))
