"""The work folder of a bulk annotation: its finished parts, and what they belong to."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import CorpusError
from ..utils.atomic_file import atomic_file
from .engines import Part
from .image_opener import FETCHED
from .lock import LOCK
from .run_identity import Run, check_same
from .tally import Tally

RUN = "run.json"
# What is written here besides; anything of another name is somebody else's.
PART = re.compile(r"[0-9]{8,}\.part")
TALLY = re.compile(r"[0-9]{8,}\.json")
PASSING = re.compile(rf"[0-9a-f]{{32}}\.tmp|{FETCHED}.+")


class Folder:
    """Keeps parts until the output is whole.

    A part is there whole or not at all, and its tally before it: whatever is killed, what the
    folder holds is true. `run.json` is the first file here and the last: what holds more without
    it is no work folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the folder where there is none. Raises CorpusError for a folder of somebody else."""
        self.path.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.path.iterdir()} - {LOCK}
        others = sorted(name for name in names if not PASSING.fullmatch(name))
        if others and "pipeline" not in (self._read(RUN) or {}):
            raise CorpusError(
                f"{self.path} holds {others[0]!r} and is not of an annotation: move it away, or "
                "name another output."
            )

    def begin(self, run: Run, *, force: bool) -> None:
        """Go on with the parts of the same run, if there are any.

        force: forget those of another run, which are a CorpusError otherwise.
        """
        found = self._read(RUN)
        self._delete(PASSING)
        # What comes by a pipe cannot be taken up again.
        if self.done() and (found != run or run["input"] is None):
            if not force:
                check_same(self.path, found or {}, run)
            self.clear()
        with atomic_file(self.path / RUN) as file:
            file.write(dump_json(run))

    def done(self) -> set[int]:
        """The numbers of the chunks whose parts are there."""
        return {int(path.stem) for path in self._parts()}

    def keep(self, part: Part) -> None:
        """Keep a part."""
        with atomic_file(self._place(part.number, ".json")) as file:
            file.write(dump_json(part.tally.to_json()))
        with atomic_file(self._place(part.number, ".part")) as file:
            file.write(part.content)

    def tally(self) -> Tally:
        """The counts over all parts."""
        total = Tally()
        for number in self.done():
            found = self._read(self._place(number, ".json").name)
            if found is None:
                raise CorpusError(f"{self.path} has lost a file: delete the folder.")
            total.add(Tally.from_json(found))
        return total

    def parts(self) -> Iterator[Path]:
        """The parts, in the order of the input."""
        yield from sorted(self._parts(), key=lambda path: int(path.stem))

    def holds(self, run: Run) -> bool:
        """Whether parts of this run are there."""
        return bool(self.done()) and self._read(RUN) == run

    def clear(self) -> None:
        """Forget all that was done. A part goes before its tally, so that what is left is true."""
        for kind in (PART, TALLY, PASSING):
            self._delete(kind)
        (self.path / RUN).unlink(missing_ok=True)

    def remove_if_empty(self) -> None:
        """Delete the folder where nothing is done in it."""
        if not self.done():
            self.clear()
            (self.path / LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # somebody has put something in
                self.path.rmdir()

    def _parts(self) -> Iterator[Path]:
        return (path for path in self.path.iterdir() if PART.fullmatch(path.name))

    def _delete(self, kind: re.Pattern[str]) -> None:
        """Delete what has a name of a kind."""
        for path in [path for path in self.path.iterdir() if kind.fullmatch(path.name)]:
            if path.name.startswith(FETCHED):
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

    def _read(self, name: str) -> Run | None:
        return read_json(self.path / name, of=self.path)

    def _place(self, number: int, suffix: str) -> Path:
        return self.path / f"{number:08d}{suffix}"


def dump_json(value: Any) -> bytes:
    """A value as a line of JSON."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def read_json(path: Path, of: Path | None = None) -> dict[str, Any] | None:
    """The object in a file of JSON, None where there is no file.

    of: what is of no use without the file; the file itself if None.

    Raises CorpusError where it is damaged.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is damaged ({error}); delete {of or 'it'}.") from error
    if not isinstance(found, dict):
        raise CorpusError(f"{path} is damaged (no JSON object); delete {of or 'it'}.")
    return found
