"""Corpora and results that tests of experiments share."""

from __future__ import annotations

import json
from pathlib import Path

import spacy

from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs, write_docs
from spacy_mner.experiments.experiment import Options as ExperimentOptions

ASSETS = Path(__file__).parents[2] / "assets"


def write_sample(folder: Path, *, posts: int) -> None:
    """The first posts of the sample corpus as train.spacy and dev.spacy."""
    vocab = spacy.blank("en").vocab
    for split in ("train", "dev"):
        lines = (ASSETS / f"{split}.jsonl").read_text("utf-8").splitlines()[:posts]
        source, target = folder / f"{split}.jsonl", folder / f"{split}.spacy"
        source.write_text("\n".join(lines), encoding="utf-8")
        convert(source, target, Options(images_root=ASSETS))
        assert len(list(read_docs(target, vocab))) == posts


def write_posts(folder: Path, docs: list, *, dev: str = "dev.spacy") -> None:
    """The same posts to train on and to score."""
    for name in ("train.spacy", dev):
        write_docs(docs, folder / name)


def make_options(tmp_path: Path, **changed) -> ExperimentOptions:
    given = {"corpus": tmp_path / "corpus", "output": tmp_path / "out", "epochs": 1}
    return ExperimentOptions(**{**given, **changed})


def make_result(variant: str, seed: int, correct: list[int], *, images: bool = False) -> dict:
    """A result of posts with two entities each, of which some are right; as many are wrong."""
    n = len(correct)
    f1 = sum(correct) / (2 * n)
    counts = {"gold": [2] * n, "predicted": [2] * n, "correct": correct}
    segmentation = {**counts, "correct": [2] * n}
    names = ("ents_p", "ents_r", "ents_f")
    on = {**dict.fromkeys(names, f1), **dict.fromkeys(("segmentation_f",), 1.0)}
    on |= {"segmentation_p": 1.0, "segmentation_r": 1.0, "image_status": {"used": n - 1}}
    scores = {"on": on}
    if images:
        scores["off"] = {**on, "ents_f": f1 / 2}
        scores["shuffled"] = {**on, "ents_f": f1 / 4}
    return {
        "variant": variant,
        "seed": seed,
        "split": "dev",
        "scores": scores,
        "counts": {"on": {"types": counts, "segmentation": segmentation}},
        "parameters": 12345,
        "training": {
            "epochs": 30,
            "best_epoch": 7,
            "seconds_per_epoch": {"wall": 2.0 + seed, "cpu": 4.0 + seed},
        },
        "machine": {
            "processor": "x86_64",
            "cores": 2,
            "threads": 1,
            "gpu": None,
            "python": "3.11",
            "spacy": "3.8",
            "torch": "2.6",
            "spacy_mner": "0.1",
        },
        "asked": {"config": {}, "data": {}, "split": "dev"},
    }


def make_runs(**right: dict[int, list[int]]) -> dict:
    """Results by variant, for which `_` stands in for a hyphen, and seed."""
    return {
        name.replace("_", "-"): {
            seed: make_result(name.replace("_", "-"), seed, posts, images=name[:3] == "wcv")
            for seed, posts in by_seed.items()
        }
        for name, by_seed in right.items()
    }


def read_json(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def cells_of(page: str | list[str], first: str) -> list[str]:
    """The cells of the first row that has a cell like this."""
    lines = page.splitlines() if isinstance(page, str) else page
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and first in cells:
            return cells
    raise AssertionError(f"no row with {first}")
