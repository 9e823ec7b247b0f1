"""The folder of an unfinished run: its finished chunks, and the run that they belong to."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import UsageError
from ..utils.atomic_file import atomic_file
from .engines import AnnotatedChunk
from .formats.rows import dump_json, to_utf8
from .image_opener import FETCHED
from .statistics import Statistics
from .task import RunIdentity, check_same

LOCK = ".lock"
IDENTITY = "run.json"
# The names of all other files that a run writes here.
CHUNK = re.compile(r"[0-9]{8,}\.chunk")
STATISTICS = re.compile(r"[0-9]{8,}\.json")
TEMPORARY = re.compile(rf"[0-9a-f]{{32}}\.tmp|{FETCHED}.+")


class RunFolder:
    """Keeps finished chunks until the output is complete.

    A chunk is written atomically, and its statistics before it, so the folder is consistent after a
    kill at any moment. `run.json` is written first and deleted last: a folder that contains other
    files without it was not made by a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the folder if necessary. Raises UsageError if it exists and no run made it."""
        self.path.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.path.iterdir()} - {LOCK}
        others = sorted(name for name in names if not TEMPORARY.fullmatch(name))
        if others and "model" not in (self._read(IDENTITY) or {}):
            raise UsageError(
                f"{self.path} contains {others[0]!r} and was not created by `annotate`. Move it "
                "away, or choose another output."
            )

    def exclusive_lock(self) -> AbstractContextManager[Any]:
        """Lock the folder until the context ends. Raises UsageError if another process holds it."""
        try:
            return FileLock(self.path / LOCK, timeout=0).acquire()
        except Timeout:
            raise UsageError(
                f"Another annotation is running in {self.path}. Wait until it has finished."
            ) from None

    def begin(self, run: RunIdentity, *, force: bool) -> None:
        """Begin a run, or continue it if the folder contains its chunks.

        force: delete the chunks of another run, which otherwise raise UsageError.
        """
        found = self._read(IDENTITY)
        self._delete(TEMPORARY)
        # Standard input (None) cannot be read again.
        if self.finished() and (found != run or run["input"] is None):
            if not force:
                check_same(self.path, found or {}, run)
            self.clear()
        write_json(self.path / IDENTITY, run)

    def finished(self) -> set[int]:
        """The indices of the finished chunks."""
        return {int(path.stem) for path in self.chunks()}

    def add(self, chunk: AnnotatedChunk) -> None:
        """Write a chunk and its statistics."""
        name = f"{chunk.index:08d}"
        write_json(self.path / f"{name}.json", chunk.statistics.to_json())
        with atomic_file(self.path / f"{name}.chunk") as file:
            file.write(chunk.content)

    def statistics(self) -> Statistics:
        """The statistics over all chunks."""
        total = Statistics()
        for path in self.chunks():
            found = self._read(f"{path.stem}.json")
            if found is None:
                raise UsageError(f"{self.path} lacks the statistics of a chunk; delete the folder.")
            total.add(Statistics.from_json(found))
        return total

    def chunks(self) -> list[Path]:
        """The files of the chunks, in the order of the input."""
        chunks = (path for path in self.path.iterdir() if CHUNK.fullmatch(path.name))
        return sorted(chunks, key=lambda path: int(path.stem))

    def has_chunks_of(self, run: RunIdentity) -> bool:
        """Whether chunks of this run are here."""
        return bool(self.finished()) and self._read(IDENTITY) == run

    def clear(self) -> None:
        """Delete all files of the run; chunks before statistics, so that no chunk lacks its own."""
        for names in (CHUNK, STATISTICS, TEMPORARY):
            self._delete(names)
        (self.path / IDENTITY).unlink(missing_ok=True)

    def remove_if_empty(self) -> None:
        """Delete the folder if it contains no chunks; files that no run wrote are kept."""
        if not self.finished():
            self.clear()
            with suppress(OSError):  # not empty; on Windows the locked file cannot be deleted
                (self.path / LOCK).unlink(missing_ok=True)
                self.path.rmdir()

    def _delete(self, names: re.Pattern[str]) -> None:
        for path in [path for path in self.path.iterdir() if names.fullmatch(path.name)]:
            if path.name.startswith(FETCHED):
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

    def _read(self, name: str) -> dict[str, Any] | None:
        return read_json(self.path / name, delete=self.path)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file atomically."""
    with atomic_file(path) as file:
        file.write(to_utf8(dump_json(value) + "\n"))


def read_json(path: Path, *, delete: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None if there is no file.

    delete: what the user should delete if the file is damaged, which raises UsageError.
    """
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
        raise ValueError("not a JSON object")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged ({error}); delete {delete}.") from error
