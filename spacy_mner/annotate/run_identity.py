"""What a bulk annotation is, so that only the same one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spacy.util import get_package_path, is_package

from ..about import __version__
from ..errors import CorpusError
from .chunks import SIZE
from .task import Task

Run = dict[str, Any]


def identify(task: Task, source: Path | None, target: Path) -> Run:
    """All that the output depends on, of types that JSON knows."""
    # As seen from the output, so that all may move together.
    root = task.images_root and os.path.relpath(task.images_root.resolve(), target.parent.resolve())
    asked = {**asdict(task), "images_root": root, "gpu": task.gpu_id >= 0}
    # The same answers from any GPU, and from any place that the pipeline lies in.
    del asked["gpu_id"], asked["model"]
    return {
        "input": None if source is None else file_digest(source),
        "output": target.suffix.lower(),
        "pipeline": folder_digest(_folder_of(task.model)),
        "version": __version__,
        "chunk": SIZE,
        **asked,
    }


def check_same(place: Path, found: Run, run: Run) -> None:
    """Raise CorpusError where a folder or file belongs to another run."""
    differing = sorted(name for name in {*found, *run} if found.get(name) != run.get(name))
    if differing:
        raise CorpusError(
            f"{place} is of another run, whose {', '.join(differing)} differed: "
            "finish that one with its command, name another output, or start anew by --force."
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = [
        [path.relative_to(folder).as_posix(), file_digest(path)]
        for path in files
        if "__pycache__" not in path.parts
    ]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _folder_of(model: str) -> Path:
    folder = get_package_path(model) if is_package(model) else Path(model)
    if not folder.is_dir():
        raise CorpusError(f"There is no pipeline {model}: name a package or a folder.")
    return folder
