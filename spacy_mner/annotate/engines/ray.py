"""Workers of a Ray cluster, through Ray Data."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ...errors import MNERError, UsageError
from ..chunks import Chunk
from .worker import AnnotatedChunk, Engine, Job, Worker

# Chunks per Ray dataset: an upper bound of what is in memory. The workers load their pipelines
# again for each dataset.
WINDOW = 256


def ray_data(n_workers: int) -> Engine:
    """An engine of workers on the cluster that `ray.init()` finds, or starts on this machine.

    The pipeline, `--code` and the images must be at the same paths on all machines. A worker that
    dies is replaced and its chunks are repeated. Chunks may arrive in any order.

    Raises UsageError if Ray is not installed, and MNERError if the Ray job fails.
    """

    def engine(job: Job, chunks: Iterable[Chunk]) -> Iterator[AnnotatedChunk]:
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise UsageError(
                "--engine ray needs Ray, which is not installed: pip install 'spacy-mner[ray]'"
            ) from error
        started_here = not ray.is_initialized()
        if started_here:
            ray.init(log_to_driver=False)
        remaining = iter(chunks)
        try:
            while window := list(islice(remaining, WINDOW)):
                yield from _annotate(ray, job, window, n_workers)
        except ray.exceptions.RayError as error:
            raise MNERError(
                f"The Ray job failed: {error}. Run the same command again to continue."
            ) from error
        finally:
            if started_here:
                ray.shutdown()

    return engine


def _annotate(ray: Any, job: Job, window: list[Chunk], n: int) -> Iterator[AnnotatedChunk]:
    rows = [{"chunk": pickle.dumps(chunk)} for chunk in window]
    # The command has its own progress bar.
    ray.data.DataContext.get_current().enable_progress_bars = False
    annotated = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _RayWorker,
        fn_constructor_args=(job,),
        batch_size=1,
        concurrency=n,
        num_gpus=1 if job.task.gpu_id >= 0 else 0,
    )
    for row in annotated.iter_rows():
        yield pickle.loads(row["annotated"])


class _RayWorker(Worker):
    """The callable class that Ray Data expects: a batch of one row in, a batch of one row out."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        annotated = self.annotate(pickle.loads(batch["chunk"][0]))
        return {"annotated": [pickle.dumps(annotated)]}
