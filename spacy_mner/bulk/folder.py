"""The work folder of a bulk annotation: its finished parts, and what they belong to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..corpus.errors import CorpusError
from ..files import whole_file
from ..lock import LOCK
from .engines import Part
from .identity import Run, check_same
from .tally import Tally

RUN = "run.json"


class Folder:
    """Keeps parts until the output is whole.

    A part is there whole or not at all, and its tally before it: whatever is killed, what the
    folder holds is true.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, run: Run, *, force: bool) -> None:
        """Go on with the parts of the same run, if there are any.

        force: forget those of another run, which are a CorpusError otherwise.
        """
        found = read_json(self.path / RUN)
        # What comes by a pipe cannot be taken up again.
        if self.done() and (found != run or run["input"] is None):
            if not force:
                check_same(self.path, found or {}, run)
            self.clear()
        with whole_file(self.path / RUN) as file:
            file.write(dump_json(run))

    def done(self) -> set[int]:
        """The numbers of the chunks whose parts are there."""
        return {int(path.stem) for path in self._parts()}

    def keep(self, part: Part) -> None:
        """Keep a part."""
        with whole_file(self._place(part.number, ".json")) as file:
            file.write(dump_json(part.tally.to_json()))
        with whole_file(self._place(part.number, ".part")) as file:
            file.write(part.content)

    def tally(self) -> Tally:
        """The counts over all parts."""
        total = Tally()
        for number in self.done():
            found = read_json(self._place(number, ".json"))
            if found is None:
                raise CorpusError(f"{self.path} has lost a file: --force starts anew.")
            total.add(Tally.from_json(found))
        return total

    def parts(self) -> Iterator[Path]:
        """The parts, in the order of the input."""
        yield from sorted(self._parts(), key=lambda path: int(path.stem))

    def holds(self, run: Run) -> bool:
        """Whether parts of this run are there."""
        return bool(self.done()) and read_json(self.path / RUN) == run

    def clear(self) -> None:
        """Forget all that was done. A part goes before its tally, so that what is left is true."""
        for path in sorted(self.path.iterdir(), key=lambda path: path.suffix != ".part"):
            if path.name != LOCK:
                path.unlink()

    def remove_if_empty(self) -> None:
        """Delete the folder where nothing is done in it."""
        if not self.done():
            shutil.rmtree(self.path, ignore_errors=True)

    def _parts(self) -> Iterator[Path]:
        return (path for path in self.path.glob("*.part") if path.stem.isdigit())

    def _place(self, number: int, suffix: str) -> Path:
        return self.path / f"{number:08d}{suffix}"


def dump_json(value: Any) -> bytes:
    """A value as a line of JSON."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def read_json(path: Path) -> Any:
    """What a file of JSON holds, None where there is no file.

    Raises CorpusError where it is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorpusError(f"{path} is damaged ({error}); delete it.") from error
