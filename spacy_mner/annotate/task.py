"""The options of a bulk annotation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    code: Python file that each process imports before it loads the pipeline.
    images_root: folder of the image paths; without it no file is opened.
    allow_urls: fetch images from http and https URLs.
    attention: write the attention of each token over modalities or image regions.
    prefix: of the names of the added columns.
    max_length: characters of a text; a longer one is an error of its row.
    batch_size: posts per batch of the pipeline.
    gpu_id: -1 for the CPU.
    """

    model: str
    columns: Columns = Columns()
    code: Path | None = None
    images_root: Path | None = None
    allow_urls: bool = False
    attention: bool = False
    prefix: str = ""
    max_length: int = 5_000
    batch_size: int = 128
    gpu_id: int = -1

    @property
    def added_columns(self) -> list[str]:
        """The names of the columns that are added to those of the input."""
        attention = ["attention"] if self.attention else []
        return [self.prefix + name for name in ("entities", *attention, "image_status", "error")]
