"""What a bulk annotation is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Columns:
    """The names of the input's columns that a post is made of; all but the text may be absent."""

    text: str = "text"
    image: str = "image"
    image_text: str = "image_text"
    image_features: str = "image_features"
    image_objects: str = "image_objects"


@dataclass(frozen=True)
class Task:
    """How posts are annotated.

    model: package name or folder of a pipeline.
    images_root: folder below which image paths lead; without it none is opened.
    allow_urls: fetch images of http and https URLs.
    attention: write what each token attends to: the weights of modalities, or of regions.
    prefix: of the columns that are added.
    max_length: characters of a post; a longer one fails.
    batch_size: posts that the pipeline sees at once.
    gpu_id: -1 for the CPU.
    """

    model: str
    columns: Columns = Columns()
    images_root: Path | None = None
    allow_urls: bool = False
    attention: bool = False
    prefix: str = ""
    max_length: int = 5_000
    batch_size: int = 128
    gpu_id: int = -1

    @property
    def added(self) -> list[str]:
        """The names of the columns that are added to those of the input."""
        attention = ["attention"] if self.attention else []
        return [self.prefix + name for name in ("entities", *attention, "image_status", "error")]
