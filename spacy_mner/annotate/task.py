"""The options of a bulk annotation, and the identity of a run.

A run of the same identity continues an unfinished one.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from spacy.util import get_package_path, is_package

from ..about import __version__
from ..errors import UsageError
from ..images.safety.limits import UNTRUSTED, Limits
from ..pipeline.load_for_command import no_pipeline
from .chunks import SIZE

MEGA = 1_000_000

RunIdentity = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """The names of the input's columns; all but the text are optional."""

    text: str = "text"
    image: str = "image"
    image_text: str = "image_text"
    image_features: str = "image_features"
    image_objects: str = "image_objects"


@dataclass(frozen=True)
class Task:
    """How rows are annotated.

    model: package name or folder of a pipeline.
    quoting: "standard" or "none" (see `CsvSource`); by default standard, if the input conforms.
    code: Python file that each process imports before it loads the pipeline.
    images_root: folder of the image paths; without it no file is opened.
    allow_urls: fetch images from http and https URLs.
    max_megapixels, max_megabytes: of an image file; a larger one is masked.
    attention: write the attention of each token over modalities or image regions.
    prefix: of the names of the added columns.
    max_length: characters of a text; a longer one is an error of its row.
    batch_size: posts per batch of the pipeline.
    gpu_id: -1 for the CPU.
    """

    model: str
    columns: Columns = Columns()
    quoting: str | None = None
    code: Path | None = None
    images_root: Path | None = None
    allow_urls: bool = False
    max_megapixels: float = UNTRUSTED.pixels / MEGA
    max_megabytes: float = UNTRUSTED.bytes / MEGA
    attention: bool = False
    prefix: str = ""
    max_length: int = 5_000
    batch_size: int = 128
    gpu_id: int = -1

    @property
    def image_limits(self) -> Limits:
        """The limits on each image."""
        pixels, n_bytes = round(self.max_megapixels * MEGA), round(self.max_megabytes * MEGA)
        return replace(UNTRUSTED, pixels=pixels, bytes=n_bytes)

    @property
    def added_columns(self) -> list[str]:
        """The names of the columns that are added to those of the input."""
        attention = ["attention"] if self.attention else []
        return [self.prefix + name for name in ("entities", *attention, "image_status", "error")]


def identify(task: Task, source: Path | None, target: Path) -> RunIdentity:
    """Everything that the output depends on, as JSON types.

    Files are identified by their content, and the image folder by its path relative to the output,
    so that all of them can be moved together. Raises LoadingError if there is no such pipeline.
    """
    root = task.images_root and os.path.relpath(task.images_root.resolve(), target.parent.resolve())
    return {
        **asdict(task),
        "model": _pipeline_digest(task.model),
        "code": task.code and _file_digest(task.code),
        "images_root": root,
        "gpu_id": task.gpu_id >= 0,
        "input": source and _file_digest(source),
        "output": target.suffix.lower(),
        "version": __version__,
        "chunk": SIZE,
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
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()


def _pipeline_digest(model: str) -> str:
    """SHA-256 over the names and contents of all files of a pipeline."""
    folder = get_package_path(model) if is_package(model) else Path(model)
    if not folder.is_dir():
        raise no_pipeline(model)
    listed = [
        [path.relative_to(folder).as_posix(), _file_digest(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
