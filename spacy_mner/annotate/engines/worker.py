"""What every engine receives, runs and returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from ..annotator import Annotator
from ..chunks import Chunk
from ..formats import Sink
from ..image_opener import OpenedImages
from ..statistics import Statistics
from ..task import Task


@dataclass(frozen=True)
class Part:
    """The part of the output that belongs to a chunk.

    index: of the chunk.
    content: bytes in the format of the output.
    """

    index: int
    content: bytes
    statistics: Statistics


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to turn chunks into parts.

    scratch: folder for temporary files; the system's temporary folder if None.
    """

    task: Task
    sink: Sink
    scratch: Path | None = None

    def worker(self) -> Worker:
        """Load the pipeline, and limit torch to one thread.

        The last digits of a score depend on the number of threads, so it is the same in every
        engine; more processes are faster.
        """
        torch.set_num_threads(1)
        return Worker(Annotator(self.task, self.scratch), self.sink)


@dataclass(frozen=True)
class Worker:
    """Turns chunks into parts in one process."""

    annotator: Annotator
    sink: Sink

    def open_images(self, chunk: Chunk) -> OpenedImages:
        """Open the images of a chunk, in a thread beside `annotate` for another chunk."""
        return self.annotator.images.open(chunk)

    def annotate(self, chunk: Chunk, images: OpenedImages | None = None) -> Part:
        """Annotate a chunk; its images are opened unless they are given."""
        annotations = self.annotator(chunk, images or self.open_images(chunk))
        content = self.sink.encode(chunk, annotations)
        return Part(chunk.index, content, Statistics.of(annotations, chunk.first_row))


# Returns parts in any order. Everything that it started ends when its iterator is closed.
Engine: TypeAlias = Callable[[Job, Iterable[Chunk]], Iterator[Part]]
