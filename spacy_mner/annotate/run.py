"""Runs a bulk annotation: resumable, with an output that appears only when it is complete."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path

from ..errors import UsageError
from ..utils.atomic_file import atomic_file
from .chunks import Chunk
from .engines import Engine, Job, Part
from .formats import PIPE, Source, SourceInfo, column_taken, open_sink, open_source
from .run_folder import RunFolder, dump_json, read_json
from .run_identity import RunIdentity, check_same, identify
from .statistics import Statistics
from .task import Columns, Task

# Columns, and characters of a column's name, that an error message lists.
SHOWN_COLUMNS = 30
SHOWN_NAME = 100


@dataclass(frozen=True)
class ProgressCallbacks:
    """Functions that are called during a run.

    on_start: with the number of rows (None if unknown) and of those that are finished already.
    on_part: with the statistics of each finished part.
    on_warning: with a message about a probable mistake.
    """

    on_start: Callable[[int | None, int], None] = lambda n_rows, n_finished: None
    on_part: Callable[[Statistics], None] = lambda statistics: None
    on_warning: Callable[[str], None] = lambda message: None


def annotate(
    task: Task,
    source: str,
    output: str,
    engine: Engine,
    *,
    force: bool = False,
    callbacks: ProgressCallbacks | None = None,
) -> Statistics:
    """Annotate the rows of a file.

    source, output: files whose suffix gives the format, or "-" for JSONL on standard input or
        output.
    force: replace an existing output, and the parts of another run.

    An interrupted run leaves the folder `OUTPUT.part`, and the same call continues it, unless it
    reads standard input, which cannot be read again, or writes standard output. If the same call
    has already finished, nothing is computed. `OUTPUT.summary.json` contains the statistics.

    Raises UsageError for options, columns or an output that cannot be used, CorpusError for an
    input that cannot be read, and LoadingError for the pipeline.
    """
    callbacks = callbacks or ProgressCallbacks()
    rows = open_source(source)
    info = rows.inspect({*astuple(task.columns), *task.added_columns})
    _check_columns(info, task)
    if warning := _missing_image_column(info, task):
        callbacks.on_warning(warning)
    sink = open_sink(output, task, info)
    if output == PIPE:
        return _to_pipe(Job(task, sink), rows, info, engine, callbacks)
    target = Path(output)
    if source != PIPE and target.resolve() == Path(source).resolve():
        raise UsageError(f"{output} is the input. Choose another output.")
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
                callbacks.on_start(info.n_rows, folder.statistics().posts)
                job = Job(task, sink, scratch=folder.path.absolute())
                statistics = _to_folder(job, rows, engine, folder, callbacks)
                with atomic_file(target, temporary_in=folder.path) as file:
                    sink.concatenate(folder.parts(), file)
                _write_summary(target, run, statistics)
            folder.clear()
            return statistics
        finally:
            folder.remove_if_empty()


def _to_pipe(
    job: Job, rows: Source, info: SourceInfo, engine: Engine, callbacks: ProgressCallbacks
) -> Statistics:
    callbacks.on_start(info.n_rows, 0)
    total = Statistics()
    with closing(_in_order(engine(job, rows.chunks()))) as parts:
        for part in parts:
            sys.stdout.buffer.write(part.content)
            sys.stdout.buffer.flush()
            total.add(part.statistics)
            callbacks.on_part(part.statistics)
    return total


def _to_folder(
    job: Job, rows: Source, engine: Engine, folder: RunFolder, callbacks: ProgressCallbacks
) -> Statistics:
    finished = folder.finished()
    remaining = (chunk for chunk in rows.chunks() if chunk.index not in finished)
    with closing(_parts(engine, job, remaining)) as parts:
        for part in parts:
            folder.add(part)
            callbacks.on_part(part.statistics)
    return folder.statistics()


def _parts(engine: Engine, job: Job, remaining: Iterator[Chunk]) -> Generator[Part, None, None]:
    """The parts of the remaining chunks; without any, the engine loads no pipeline."""
    first = next(remaining, None)
    if first is not None:
        yield from engine(job, chain([first], remaining))


def _in_order(parts: Iterable[Part]) -> Generator[Part, None, None]:
    """Sort parts that arrive in any order, yielding each as early as possible."""
    waiting: list[tuple[int, Part]] = []
    index = 0
    for part in parts:
        heapq.heappush(waiting, (part.index, part))
        while waiting and waiting[0][0] == index:
            yield heapq.heappop(waiting)[1]
            index += 1


def _check_columns(info: SourceInfo, task: Task) -> None:
    """Raise UsageError if the input lacks a column of the task, or has one that is to be added.

    Optional columns may be missing unless the user named them.
    """
    if info.columns is None:
        return
    for name, default in zip(astuple(task.columns), astuple(Columns()), strict=True):
        is_required = name != default or name == task.columns.text
        if is_required and name not in info.columns and info.n_rows:
            raise UsageError(f"{_no_column(name, info.columns)}.")
    for name in task.added_columns:
        if name in info.columns:
            raise column_taken(name)


def _missing_image_column(info: SourceInfo, task: Task) -> str:
    """The warning for an option about images if the input has no column of them, or ""."""
    columns, name = info.columns, task.columns.image
    expects_images = task.images_root is not None or task.allow_urls
    if not expects_images or not info.n_rows or columns is None or name in columns:
        return ""
    return f"{_no_column(name, columns)}. No post has an image; --image names another column."


def _no_column(name: str, columns: Iterable[str]) -> str:
    # In quotes, so that a space in a name is visible.
    shown = [repr(column[:SHOWN_NAME]) for column in columns]
    more = f" and {len(shown) - SHOWN_COLUMNS:,} more" if len(shown) > SHOWN_COLUMNS else ""
    listed = ", ".join(shown[:SHOWN_COLUMNS]) or "none"
    return f"The input has no column {name!r}; its columns: {listed}{more}"


def _finished(target: Path, run: RunIdentity, folder: RunFolder) -> Statistics | None:
    """The statistics of an output that the same run has finished, None if there is work left.

    Raises UsageError if the output must not be replaced.
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
    if folder.has_parts_of(run):
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
    with atomic_file(summary_path(target)) as file:
        size = target.stat().st_size
        file.write(dump_json({**statistics.to_json(), "bytes": size, "run": run}))
