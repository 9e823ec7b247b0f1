"""Chunks on the workers of a Ray cluster, by Ray Data."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ...errors import CorpusError
from ..chunks import Chunk
from .worker import Engine, Part, Work, Worker

# Chunks that are given to Ray at once. They bound what is in its memory; the workers load their
# pipelines anew for each window, so that few of them would cost much.
WINDOW = 256


def ray_data(n: int) -> Engine:
    """An engine of n workers of the cluster that `ray.init()` finds, or starts on this machine.

    Pipeline and images must lie at the same paths on all of its machines; the input and the
    output only here. A worker that dies is replaced, and its chunks are done again. Parts come in
    any order. Raises CorpusError where Ray is not installed or gives up.
    """

    def engine(work: Work, chunks: Iterable[Chunk]) -> Iterator[Part]:
        ray = _ray()
        started = not ray.is_initialized()
        if started:
            ray.init(log_to_driver=False)
        rest = iter(chunks)
        try:
            while window := list(islice(rest, WINDOW)):
                yield from _annotate(ray, work, window, n)
        except ray.exceptions.RayError as error:
            raise CorpusError(
                f"Ray gave up: {error}. What is done is kept; the same command goes on."
            ) from error
        finally:
            if started:
                ray.shutdown()

    return engine


def _annotate(ray: Any, work: Work, window: list[Chunk], n: int) -> Iterator[Part]:
    rows = [{"chunk": pickle.dumps(chunk)} for chunk in window]
    # Ray's own progress would stand between ours.
    ray.data.DataContext.get_current().enable_progress_bars = False
    parts = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Worker,
        fn_constructor_args=(work,),
        batch_size=1,
        concurrency=n,
        num_gpus=1 if work.task.gpu_id >= 0 else 0,
    )
    for row in parts.iter_rows():
        yield pickle.loads(row["part"])


class _Worker:
    """A worker as Ray Data calls it: a batch of one row in, a batch of one row out."""

    def __init__(self, work: Work) -> None:
        self.worker: Worker = work.worker()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        chunk = pickle.loads(batch["chunk"][0])
        part = self.worker.part(chunk, self.worker.open(chunk))
        return {"part": [pickle.dumps(part)]}


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise CorpusError(
            "--engine ray needs Ray, which is not installed: pip install 'spacy-mner[ray]'"
        ) from error
    return ray
