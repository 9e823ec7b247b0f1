"""Runs a bulk annotation: what is done stays done, and the output appears whole."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path

from ..errors import CorpusError
from ..utils.atomic_file import atomic_file
from .chunks import Chunk
from .engines import Engine, Part, Work
from .formats import PIPE, Source, Survey, column_taken, open_sink, open_source
from .lock import alone
from .run_folder import Folder, dump_json, read_json
from .run_identity import Run, check_same, identify
from .signals import terminable
from .tally import Tally
from .task import Columns, Task

# Columns, and characters of the name of one, that an error tells.
SHOWN_COLUMNS = 30
SHOWN_NAME = 100


@dataclass(frozen=True)
class Listener:
    """Who is told how it goes on.

    begun: the rows of the input (None: not known), and those that are done already.
    did: of each part.
    told: what looks like an oversight, in words.
    """

    begun: Callable[[int | None, int], None] = lambda rows, done: None
    did: Callable[[Tally], None] = lambda tally: None
    told: Callable[[str], None] = lambda words: None


def annotate(
    task: Task,
    source: str,
    output: str,
    engine: Engine,
    *,
    force: bool = False,
    listener: Listener | None = None,
) -> Tally:
    """Annotate the posts of a file.

    source, output: names of files by their formats, or "-" for JSONL by standard input or output.
    engine: what does the work.
    force: replace an output that is there, and what another run has left.

    An interrupted run leaves `OUTPUT.part`, and the same call goes on from there, unless it reads
    standard input, which cannot be read twice, or writes standard output. Where the output was
    made by the same call already, nothing is done. Beside the output, `OUTPUT.summary.json` says
    what became of the posts. Raises CorpusError for what the user can put right.
    """
    listener = listener or Listener()
    rows = open_source(source)
    survey = _checked(rows.survey({*astuple(task.columns), *task.added}), task)
    if hint := _without_images(survey, task):
        listener.told(hint)
    sink = open_sink(output, task, survey)
    if output == PIPE:
        return _to_pipe(Work(task, sink), rows, survey, engine, listener)
    target = Path(output)
    if source != PIPE and target.resolve() == Path(source).resolve():
        raise CorpusError(f"{output} is the input; name another file for the output.")
    if target.is_dir():
        raise CorpusError(f"{output} is a folder; name a file for the output.")
    run = identify(task, rows.path, target)
    folder = Folder(target.with_name(f"{target.name}.part"))
    folder.make()
    with terminable(), alone(folder.path, "annotation"):
        try:
            found = None if force else _finished(target, run, folder)
            if found is not None:
                folder.clear()
                return found
            folder.begin(run, force=force)
            listener.begun(survey.rows, folder.tally().posts)
            work = Work(task, sink, scratch=folder.path.absolute())
            tally = _to_folder(work, rows, engine, folder, listener)
            with atomic_file(target, by=folder.path) as file:
                sink.join(folder.parts(), file)
            _write_summary(target, run, tally)
            folder.clear()
            return tally
        finally:
            folder.remove_if_empty()


def _to_pipe(work: Work, rows: Source, survey: Survey, engine: Engine, listener: Listener) -> Tally:
    listener.begun(survey.rows, 0)
    total = Tally()
    with terminable(), closing(_in_order(engine(work, rows.chunks()))) as parts:
        for part in parts:
            sys.stdout.buffer.write(part.content)
            sys.stdout.buffer.flush()
            total.add(part.tally)
            listener.did(part.tally)
    return total


def _to_folder(
    work: Work, rows: Source, engine: Engine, folder: Folder, listener: Listener
) -> Tally:
    done = folder.done()
    todo = (chunk for chunk in rows.chunks() if chunk.number not in done)
    with closing(_work(engine, work, todo)) as parts:
        for part in parts:
            folder.keep(part)
            listener.did(part.tally)
    return folder.tally()


def _work(engine: Engine, work: Work, todo: Iterator[Chunk]) -> Generator[Part, None, None]:
    """The parts of the chunks that are left; no pipeline is loaded for none."""
    first = next(todo, None)
    if first is not None:
        yield from engine(work, chain([first], todo))


def _checked(survey: Survey, task: Task) -> Survey:
    """Raises CorpusError where the input has not the columns that the task asks for."""
    columns = survey.columns
    if columns is None:
        return survey
    standard = Columns()
    for name, usual in zip(astuple(task.columns), astuple(standard), strict=True):
        if name not in columns and (name != usual or name == task.columns.text) and survey.rows:
            raise CorpusError(f"{_no_column(name, columns)}.")
    taken = [name for name in task.added if name in columns]
    if taken:
        raise column_taken(taken[0])
    return survey


def _without_images(survey: Survey, task: Task) -> str:
    """What to say where images were asked for and the input has no column of them."""
    columns, name = survey.columns, task.columns.image
    asked = task.images_root is not None or task.allow_urls
    if not asked or not survey.rows or columns is None or name in columns:
        return ""
    return f"{_no_column(name, columns)}. No post has an image; --image names another column."


def _no_column(name: str, columns: Iterable[str]) -> str:
    # In quotes, so that a blank in a name is seen.
    shown = [repr(column[:SHOWN_NAME]) for column in columns]
    more = f" and {len(shown) - SHOWN_COLUMNS:,} more" if len(shown) > SHOWN_COLUMNS else ""
    listed = ", ".join(shown[:SHOWN_COLUMNS]) or "none"
    return f"The input has no column {name!r}; its columns: {listed}{more}"


def _finished(target: Path, run: Run, folder: Folder) -> Tally | None:
    """The tally of an output that the same run made; None where there is work to do.

    Raises CorpusError for an output that is in the way.
    """
    if not target.exists():
        return None
    found = read_json(summary_of(target)) or {}
    # What comes by a pipe may be anything, so that no output is known to be of it.
    made_by = None if run["input"] is None else found.get("run")
    size = target.stat().st_size
    if made_by == run and found.get("bytes") == size:
        return Tally.from_json(found)
    if folder.holds(run):
        return None  # its last steps are to be done
    if isinstance(made_by, dict):
        check_same(target, made_by, run)
        raise CorpusError(
            f"{target} has changed since it was made, from {found.get('bytes')} to {size} bytes: "
            "put it back, or make it anew by --force."
        )
    raise CorpusError(f"{target} is there already; --force replaces it.")


def summary_of(target: Path) -> Path:
    """Where the summary of an output is written."""
    return target.with_name(f"{target.name}.summary.json")


def _write_summary(target: Path, run: Run, tally: Tally) -> None:
    with atomic_file(summary_of(target)) as file:
        size = target.stat().st_size
        file.write(dump_json({**tally.to_json(), "bytes": size, "run": run}))


def _in_order(parts: Iterable[Part]) -> Generator[Part, None, None]:
    """Parts in the order of the input, whatever order they come in."""
    waiting: list[tuple[int, Part]] = []
    number = 0
    for part in parts:
        heapq.heappush(waiting, (part.number, part))
        while waiting and waiting[0][0] == number:
            yield heapq.heappop(waiting)[1]
            number += 1
