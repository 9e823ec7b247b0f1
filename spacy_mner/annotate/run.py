"""Runs a bulk annotation: resumable, with an output that appears only when it is complete."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path

from ..corpus.unread_annotation import find_unread_image, unread_image_hint
from ..errors import UsageError
from ..utils.atomic_file import atomic_file, refuse_input_as_output
from .chunks import Chunk
from .engines import AnnotatedChunk, Engine, Job
from .formats import PIPE, open_sink, open_source
from .formats.rows import SourceInfo, column_taken
from .run_folder import RunFolder, read_json, write_json
from .statistics import Statistics
from .task import Columns, RunIdentity, Task, check_same, identify

# Columns, and characters of a column's name, that an error message lists.
SHOWN_COLUMNS = 30
SHOWN_NAME = 100


@dataclass(frozen=True)
class ProgressCallbacks:
    """Functions that are called during a run.

    on_start: with the number of rows (None if unknown) and of those that are finished already.
    on_chunk: with the statistics of each finished chunk.
    on_warning: with a message about a probable mistake.
    """

    on_start: Callable[[int | None, int], None] = lambda n_rows, n_finished: None
    on_chunk: Callable[[Statistics], None] = lambda statistics: None
    on_warning: Callable[[str], None] = lambda message: None


def annotate(
    task: Task,
    source: str,
    output: str,
    engine: Engine,
    *,
    force: bool = False,
    callbacks: ProgressCallbacks = ProgressCallbacks(),
) -> Statistics:
    """Annotate the rows of a file.

    source, output: files whose suffix gives the format, or "-" for JSONL on standard input or
        output.
    force: replace an existing output, and the chunks of another run.

    An interrupted run leaves the folder `OUTPUT.part`, and the same call continues it, unless it
    reads standard input, which cannot be read again, or writes standard output. If the same call
    has already finished, nothing is computed. `OUTPUT.summary.json` contains the statistics.

    Raises UsageError for options, columns or an output that cannot be used, CorpusError for an
    input that cannot be read, and LoadingError for the pipeline.
    """
    rows = open_source(source, task.quoting)
    info = rows.inspect({*astuple(task.columns), *task.added_columns})
    _check_columns(info, task, callbacks.on_warning)
    sink = open_sink(output, task, info)
    if output == PIPE:
        total = Statistics()
        callbacks.on_start(info.n_rows, 0)
        checked = _check_images(rows.chunks(), info, task, callbacks.on_warning)
        chunks = _in_order(_annotated(engine, Job(task, sink), checked))
        _keep(chunks, _write_to_stdout, total, callbacks)
        return total
    target = Path(output)
    if source != PIPE:
        refuse_input_as_output(Path(source), target)
    if target.is_dir():
        raise UsageError(f"{output} is a folder. Name a file as the output.")
    run = identify(task, rows.path, target)
    folder = RunFolder(target.with_name(f"{target.name}.part"))
    folder.make()
    with folder.exclusive_lock():
        try:
            statistics = None if force else _finished(target, run, folder)
            if statistics is None:
                folder.begin(run, force=force)
                statistics, done = folder.statistics(), folder.finished()
                callbacks.on_start(info.n_rows, statistics.posts)
                job = Job(task, sink, scratch=folder.path.absolute())
                checked = _check_images(rows.chunks(), info, task, callbacks.on_warning)
                remaining = (chunk for chunk in checked if chunk.index not in done)
                _keep(_annotated(engine, job, remaining), folder.add, statistics, callbacks)
                with atomic_file(target, temporary_in=folder.path) as file:
                    sink.concatenate(folder.chunks(), file)
                _write_summary(target, run, statistics)
            folder.clear()
            return statistics
        finally:
            folder.remove_if_empty()


def _keep(
    chunks: Generator[AnnotatedChunk, None, None],
    keep: Callable[[AnnotatedChunk], None],
    total: Statistics,
    callbacks: ProgressCallbacks,
) -> None:
    """Pass chunks to `keep` and add their statistics to `total`."""
    with closing(chunks):
        for chunk in chunks:
            keep(chunk)
            total.add(chunk.statistics)
            callbacks.on_chunk(chunk.statistics)


def _write_to_stdout(chunk: AnnotatedChunk) -> None:
    sys.stdout.buffer.write(chunk.content)
    sys.stdout.buffer.flush()


def _annotated(
    engine: Engine, job: Job, remaining: Iterator[Chunk]
) -> Generator[AnnotatedChunk, None, None]:
    """Annotate the remaining chunks; without any, the engine loads no pipeline."""
    first = next(remaining, None)
    if first is not None:
        yield from engine(job, chain([first], remaining))


def _in_order(chunks: Iterable[AnnotatedChunk]) -> Generator[AnnotatedChunk, None, None]:
    """Sort chunks that arrive in any order, yielding each as early as possible."""
    waiting: dict[int, AnnotatedChunk] = {}
    index = 0
    for chunk in chunks:
        waiting[chunk.index] = chunk
        while index in waiting:
            yield waiting.pop(index)
            index += 1


def _check_columns(info: SourceInfo, task: Task, on_warning: Callable[[str], None]) -> None:
    """Check the columns of an input; optional ones may be missing unless the user named them.

    Raises UsageError if the input lacks a column of the task, or has one that is to be added. An
    option about images without a column of them is a warning.
    """
    columns = info.columns or {}
    if taken := [name for name in task.added_columns if name in columns]:
        raise column_taken(taken[0])
    if not info.n_rows:
        return
    for attribute, default in asdict(Columns()).items():
        name = getattr(task.columns, attribute)
        is_required = name != default or name == task.columns.text
        if is_required and name not in columns:
            option = attribute.replace("_", "-")
            raise UsageError(f"{_no_column(name, columns)}. --{option} names another column.")
    if _lacks_image_column(info, task):
        on_warning(
            f"{_no_column(task.columns.image, columns)}. No post has an image; --image names "
            "another column."
        )


def _lacks_image_column(info: SourceInfo, task: Task) -> bool:
    expects_images = task.images_root is not None or task.allow_urls
    return expects_images and task.columns.image not in (info.columns or {})


def _check_images(
    chunks: Iterable[Chunk], info: SourceInfo, task: Task, on_warning: Callable[[str], None]
) -> Iterator[Chunk]:
    """Yield the chunks; the first row whose image seems to be under a key not read is a warning."""
    image = task.columns.image
    has_warned = info.columns is not None and _lacks_image_column(info, task)
    for chunk in chunks:
        for number, row in enumerate(chunk.rows, start=chunk.first_row):
            if has_warned or image in row.values:
                continue
            if (key := find_unread_image(row.values, astuple(task.columns))) is not None:
                on_warning(f"Row {number:,} has no image: {unread_image_hint(key, image)}.")
                has_warned = True
        yield chunk


def _no_column(name: str, columns: Iterable[str]) -> str:
    # In quotes, so that a space in a name is visible.
    shown = [repr(column[:SHOWN_NAME]) for column in columns]
    more = f" and {len(shown) - SHOWN_COLUMNS:,} more" if len(shown) > SHOWN_COLUMNS else ""
    listed = ", ".join(shown[:SHOWN_COLUMNS]) or "none"
    return f"The input has no column {name!r}; its columns: {listed}{more}"


def _finished(target: Path, run: RunIdentity, folder: RunFolder) -> Statistics | None:
    """The statistics of an output that the same run has finished, None if the output is incomplete.

    Raises UsageError if the output exists and `force` is off.
    """
    if not target.exists():
        return None
    path = summary_path(target)
    summary = read_json(path, delete=path) or {}
    # Standard input may differ, so no output is known to belong to it.
    made_by = None if run["input"] is None else summary.get("run")
    size = target.stat().st_size
    if made_by == run and summary.get("bytes") == size:
        return Statistics.from_json(summary)
    if folder.has_chunks_of(run):
        return None  # interrupted after the output was written
    if isinstance(made_by, dict):
        check_same(target, made_by, run)
        raise UsageError(
            f"{target} has changed since it was written, from {summary.get('bytes')} to {size} "
            "bytes. Restore it, or write it again with --force."
        )
    raise UsageError(f"{target} exists already; --force replaces it.")


def summary_path(target: Path) -> Path:
    """Where the summary of an output is written."""
    return target.with_name(f"{target.name}.summary.json")


def _write_summary(target: Path, run: RunIdentity, statistics: Statistics) -> None:
    size = target.stat().st_size
    write_json(summary_path(target), {**statistics.to_json(), "bytes": size, "run": run})
