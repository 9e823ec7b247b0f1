"""What an engine takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from ..annotator import Annotator
from ..chunks import Chunk
from ..formats import Sink
from ..image_opener import OpenedChunk
from ..tally import Tally
from ..task import Task


@dataclass(frozen=True)
class Part:
    """A chunk's part of the output.

    number: the chunk's.
    content: bytes in the format of the output.
    """

    number: int
    content: bytes
    tally: Tally


@dataclass(frozen=True)
class Work:
    """All that a process needs to turn chunks into parts.

    scratch: folder for what is there while a chunk is worked on; the temporary one if None.
    """

    task: Task
    sink: Sink
    scratch: Path | None = None

    def worker(self) -> Worker:
        """Load the pipeline, for a process that computes with one thread.

        The last digits of a score depend on the number of threads, so that it is one everywhere;
        more processes make it faster.
        """
        torch.set_num_threads(1)
        return Worker(Annotator(self.task, self.scratch), self.sink)


@dataclass(frozen=True)
class Worker:
    """Turns chunks into parts in one process."""

    annotator: Annotator
    sink: Sink

    def open(self, chunk: Chunk) -> OpenedChunk:
        """What can be done before a chunk is annotated, beside another one."""
        return self.annotator.open(chunk)

    def part(self, chunk: Chunk, opened: OpenedChunk) -> Part:
        """Annotate a chunk that was opened."""
        annotations = self.annotator(chunk, opened)
        content = self.sink.encode(chunk, annotations)
        return Part(chunk.number, content, Tally.of(annotations, chunk.first))


# Parts come in any order. All that an engine started has ended when its iterator is closed.
Engine: TypeAlias = Callable[[Work, Iterable[Chunk]], Iterator[Part]]
