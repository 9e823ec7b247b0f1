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
class AnnotatedChunk:
    """A chunk in the format of the output.

    index: of the chunk.
    content: the bytes of its rows and their annotations.
    """

    index: int
    content: bytes
    statistics: Statistics


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to annotate chunks.

    scratch: folder for fetched images; the system's temporary folder if None.
    """

    task: Task
    sink: Sink
    scratch: Path | None = None


class Worker:
    """Annotates chunks in one process, with one thread of torch.

    The last digits of a score depend on the number of threads, so it is the same in every engine;
    more processes are faster.
    """

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(1)
        self.annotator = Annotator(job.task, job.scratch)
        self.sink = job.sink

    def annotate(self, chunk: Chunk, images: OpenedImages | None = None) -> AnnotatedChunk:
        """Annotate a chunk; its images are opened unless they are given."""
        annotations = self.annotator(chunk, images or self.annotator.images.open(chunk))
        content = self.sink.encode(chunk, annotations)
        return AnnotatedChunk(chunk.index, content, Statistics.of(annotations, chunk.first_row))


# Returns annotated chunks in any order. All that it started ends when its iterator is closed.
Engine: TypeAlias = Callable[[Job, Iterable[Chunk]], Iterator[AnnotatedChunk]]
