"""One run of a grid: trains a config, scores its best model and writes result.json.

    python experiments/run.py FOLDER PARENT

FOLDER holds job.json and config.cfg. The process ends when its parent, of that process ID, does.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.cli._util import setup_gpu
from spacy.language import Language
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.evaluation.evaluate import predict, score_prediction
from spacy_mner.evaluation.image_ablation import ShuffleError
from spacy_mner.evaluation.scorer import entities_by_offset
from spacy_mner.utils.atomic_file import atomic_file

CONFIG, JOB, RESULT = "config.cfg", "job.json", "result.json"


def run(folder: Path) -> None:
    """Train and score the run of a folder."""
    job = json.loads((folder / JOB).read_text("utf-8"))
    setup_gpu(job["gpu_id"], silent=True)
    nlp, seconds = train_best(folder, job["gpu_id"])
    result = {
        **job,
        **score(nlp, job),
        "parameters": count_parameters(nlp),
        "seconds_per_epoch": [clock / job["epochs"] for clock in seconds],
        "cpu_seconds": time.process_time(),
        "machine": describe_machine(job["gpu_id"]),
    }
    for name in ("model-best", "model-last"):
        shutil.rmtree(folder / name)
    if job["keep_model"]:
        nlp.to_disk(folder / "model-best")
    with atomic_file(folder / RESULT) as file:
        file.write(json.dumps(result, ensure_ascii=False).encode())


def train_best(folder: Path, gpu_id: int) -> tuple[Language, tuple[float, float]]:
    """Return the pipeline at its best step on dev, and the seconds of training (wall, CPU).

    They include evaluation on dev and the encoding of new images, but not the loading of vectors.
    """
    nlp = init_nlp(load_config(folder / CONFIG, interpolate=False), use_gpu=gpu_id)
    wall, cpu = time.perf_counter(), time.process_time()
    # The vocab does not change in training, and writing its vectors takes longer than an epoch.
    without_vocab: Any = partial(nlp.to_disk, exclude=["vocab"])
    nlp.to_disk = without_vocab  # type: ignore[method-assign]
    try:
        train(nlp, folder, use_gpu=gpu_id)
    finally:
        del nlp.to_disk
    nlp.from_disk(folder / "model-best", exclude=["vocab"])
    return nlp, (time.perf_counter() - wall, time.process_time() - cpu)


def score(nlp: Language, job: dict[str, Any]) -> dict[str, Any]:
    """Return `scores` by image mode, and `counts` of entities per post with images on.

    A mode that the posts do not allow (too few images to shuffle) is left out.
    """
    root = None if job["images_root"] is None else Path(job["images_root"])
    docs = list(read_docs(Path(job["data"]), nlp.vocab, root))
    scores, counts = {}, []
    for images in ("on", "off", "shuffled") if job["reads_images"] else ("on",):
        try:
            prediction = predict(nlp, docs, images=images, seed=job["seed"])
        except ShuffleError as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        scores[images] = score_prediction(prediction)
        if images == "on":
            counts = [count_entities(example) for example in prediction.examples]
    gold = any(doc.has_unknown_spaces for doc in docs)
    return {"scores": scores, "counts": counts, "tokens": "gold" if gold else "pipeline"}


def count_entities(example: Example) -> tuple[int, int, int]:
    """Return the numbers of annotated, predicted and correct entities of a post."""
    gold, predicted = entities_by_offset(example)
    return len(gold), len(predicted), len(gold & predicted)


def count_parameters(nlp: Language) -> int:
    """Return the number of trainable parameters, without pretrained vectors."""
    model: Any = nlp.get_pipe("multimodal_ner").model  # type: ignore[attr-defined]
    networks = [shim.network for shim in model.shims if hasattr(shim, "network")]
    return sum(p.numel() for net in networks for p in net.parameters() if p.requires_grad)


def describe_machine(gpu_id: int) -> str:
    """Return hardware and versions in one line."""
    gpu = torch.cuda.get_device_name(gpu_id) if gpu_id >= 0 else "no GPU"
    return (
        f"{platform.machine()}, CPU cores: {os.cpu_count()}, threads per run: "
        f"{torch.get_num_threads()}, {gpu}, Python {platform.python_version()}, "
        f"spaCy {spacy.__version__}, torch {torch.__version__}"
    )


def exit_with(parent: int) -> None:
    """Exit soon after the parent process, even if it was killed."""
    while os.name == "nt" or os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=exit_with, args=(int(sys.argv[2]),), daemon=True).start()
    run(Path(sys.argv[1]))
