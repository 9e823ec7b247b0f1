"""A trained pipeline on disk, and input files."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import spacy

from spacy_mner.annotate.engines import inline
from spacy_mner.annotate.run import annotate
from spacy_mner.annotate.task import Task

Rows = list[dict[str, Any]]


@pytest.fixture(scope="session")
def model(trained_bytes, tmp_path_factory) -> str:
    config, data = trained_bytes
    folder = tmp_path_factory.mktemp("pipeline") / "model"
    spacy.util.load_model_from_config(config).from_bytes(data).to_disk(folder)
    return str(folder)


@pytest.fixture(scope="session")
def task(model, images) -> Task:
    return Task(model, images_root=images, attention=True, max_length=60)


@pytest.fixture
def ruler(tmp_path) -> str:
    """A pipeline that needs no training: "puma" and a single space are a CAT."""
    nlp = spacy.blank("en")
    patterns = [{"label": "CAT", "pattern": pattern} for pattern in ("puma", [{"IS_SPACE": True}])]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    nlp.to_disk(tmp_path / "ruler")
    return str(tmp_path / "ruler")


def make_rows(n: int) -> Rows:
    """Posts with one image, several, none, a missing one, and one outside the folder."""
    names = ["jaguar", "puma", "lynx", "ram", "viper"]
    images = ["car.png", "animal.png", None, "gone.png", "../car.png", ["car.png", "animal.png"]]
    return [
        {"id": i, "text": f"my {names[i % 5]} no {i} !", "image": images[i % 6]} for i in range(n)
    ]


def write_jsonl(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def posts(tmp_path) -> Callable[[int], Path]:
    """Writes an input of n posts."""
    return lambda n: write_jsonl(tmp_path / "posts.jsonl", make_rows(n))


@pytest.fixture
def target(tmp_path) -> Path:
    """The output of a run."""
    return tmp_path / "out.jsonl"


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of an unfinished run."""
    return tmp_path / "out.jsonl.part"


def run(task, source, target, engine=inline, **options):
    return annotate(task, str(source), str(target), engine, **options)


def interrupt(*arguments):
    raise KeyboardInterrupt


def run_interrupted(task, source, target, n_chunks=1):
    """A run that is interrupted after n chunks."""

    def engine(job, chunks):
        yield from islice(inline(job, chunks), n_chunks)
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        run(task, source, target, engine)


def no_engine(job, chunks):
    """An engine for runs that must not annotate anything."""
    raise AssertionError("the engine was called")
    yield
