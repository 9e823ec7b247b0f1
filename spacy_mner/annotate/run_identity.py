"""What identifies a run: only the same run continues its unfinished parts."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spacy.util import get_package_path, is_package

from ..about import __version__
from ..errors import LoadingError, UsageError
from .chunks import SIZE
from .task import Task

RunIdentity = dict[str, Any]


def identify(task: Task, source: Path | None, target: Path) -> RunIdentity:
    """Everything that the output depends on, as JSON types.

    Files are identified by their content, and the image folder by its path relative to the output,
    so that all of them can be moved together. Raises LoadingError if there is no such pipeline.
    """
    root = task.images_root and os.path.relpath(task.images_root.resolve(), target.parent.resolve())
    options = {
        **asdict(task),
        "code": task.code and _file_digest(task.code),
        "images_root": root,
        "gpu": task.gpu_id >= 0,
    }
    del options["gpu_id"], options["model"]
    return {
        "input": None if source is None else _file_digest(source),
        "output": target.suffix.lower(),
        "pipeline": _pipeline_digest(task.model),
        "version": __version__,
        "chunk": SIZE,
        **options,
    }


def check_same(path: Path, found: RunIdentity, run: RunIdentity) -> None:
    """Raise UsageError if a folder or file belongs to a different run."""
    differing = sorted(name for name in {*found, *run} if found.get(name) != run.get(name))
    if differing:
        raise UsageError(
            f"{path} belongs to another run, with a different {', '.join(differing)}. Finish that "
            "run with its own command, choose another output, or replace it with --force."
        )


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _pipeline_digest(model: str) -> str:
    """SHA-256 over the names and contents of all files of a pipeline."""
    folder = get_package_path(model) if is_package(model) else Path(model)
    if not folder.is_dir():
        raise LoadingError(f"There is no pipeline {model}: name an installed package or a folder.")
    listed = [
        [path.relative_to(folder).as_posix(), _file_digest(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
