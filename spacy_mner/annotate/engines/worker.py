"""What every engine receives, runs and returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from ..annotator import Annotator
from ..chunks import Chunk
from ..formats.rows import Sink
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

    scratch: folder for fetched images; the system's temporary folder if None.
    """

    task: Task
    sink: Sink
    scratch: Path | None = None


class Worker:
    """Turns chunks into parts in one process, with one thread of torch.

    The last digits of a score depend on the number of threads, so it is the same in every engine;
    more processes are faster.
    """

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(1)
        self.annotator = Annotator(job.task, job.scratch)
        self.sink = job.sink

    def annotate(self, chunk: Chunk, images: OpenedImages | None = None) -> Part:
        """Annotate a chunk; its images are opened unless they are given."""
        annotations = self.annotator(chunk, images or self.annotator.images.open(chunk))
        content = self.sink.encode(chunk, annotations)
        return Part(chunk.index, content, Statistics.of(annotations, chunk.first_row))


# Returns parts in any order. Everything that it started ends when its iterator is closed.
Engine: TypeAlias = Callable[[Job, Iterable[Chunk]], Iterator[Part]]
