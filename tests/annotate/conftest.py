"""A trained pipeline on disk, and posts for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy

Rows = list[dict[str, Any]]


@pytest.fixture(scope="session")
def model(trained_bytes, tmp_path_factory) -> str:
    config, data = trained_bytes
    folder = tmp_path_factory.mktemp("pipeline") / "model"
    spacy.util.load_model_from_config(config).from_bytes(data).to_disk(folder)
    return str(folder)


def make_rows(n: int) -> Rows:
    """Posts of a few kinds: with an image of either kind, with none, with one that is lost."""
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
    """Writes a file of so many posts."""
    return lambda n: write_jsonl(tmp_path / "posts.jsonl", make_rows(n))
