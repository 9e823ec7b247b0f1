"""Damaged inputs of bulk annotation, of which every row comes out again, or fails with an error."""

from __future__ import annotations

import csv
import functools
import json
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer

from spacy_mner.annotate.annotator import Annotator
from spacy_mner.annotate.chunks import Chunk, Row
from spacy_mner.annotate.engines import Part, Work
from spacy_mner.annotate.engines.worker import Worker
from spacy_mner.annotate.formats import open_source
from spacy_mner.annotate.formats.rows import plain
from spacy_mner.annotate.run import annotate
from spacy_mner.annotate.task import Columns, Task
from spacy_mner.errors import CorpusError
from tests.images.samples import content as image
from tests.images.samples import quarters

from .cases import Verdict, chance_of, kind_of
from .mutations import damage, fitting
from .row_mutations import damage_rows
from .row_seeds import POSTS, SIZE, WRITERS, pairs_of, row_seeds

FORMATS = tuple(WRITERS)
PATTERNS = [{"label": "PER", "pattern": "Duke Dumont"}, {"label": "Z", "pattern": [{}, {}, {}]}]


@dataclass(frozen=True)
class RowCases:
    """Damaged inputs of all formats in equal shares: of their bytes, their rows, or both."""

    seed: int
    seeds: dict[str, list[bytes]] = field(default_factory=row_seeds)

    def file(self, number: int) -> tuple[bytes, str]:
        """A damaged file, and how it was made."""
        suffix, content, ways = self._damaged(chance_of(self.seed, number))
        return content, f"{suffix}: {', '.join(ways)}"

    def prepare(self, folder: Path) -> None:
        """Load the pipeline once."""
        for suffix, contents in self.seeds.items():
            for number, content in enumerate(contents):
                place = folder / f"{number}{suffix}"
                place.mkdir()
                judge(suffix, content, place, Random(number))

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Annotate a damaged file, and read back what was written."""
        chance = chance_of(self.seed, number)
        suffix, content, _ = self._damaged(chance)
        return judge(suffix, content, folder, chance)

    def _damaged(self, chance: Random) -> tuple[str, bytes, list[str]]:
        suffix, of_rows = chance.choice(FORMATS), chance.random() < 0.6
        content, ways = chance.choice(self.seeds[suffix]), []
        if of_rows:
            rows, ways = damage_rows(pairs_of(POSTS), chance)
            content = WRITERS[suffix](rows)
        if not of_rows or chance.random() < 0.2:
            other = chance.choice(self.seeds[chance.choice(FORMATS)])
            content, more = damage(content, other, chance, fitting(suffix, chance))
            ways = [*ways, *more]
        return suffix, content, ways


def judge(suffix: str, content: bytes, folder: Path, chance: Random) -> Verdict:
    """Annotate a file into one of any format.

    Raises whatever is no CorpusError, and AssertionError where the output does not read back as
    the rows of the input.
    """
    path, target = folder / f"in{suffix}", folder / f"out{chance.choice(FORMATS)}"
    path.write_bytes(content)
    tried = f"{suffix} to {target.suffix}"
    try:
        task = _task(folder, chance)
        with _without_model():
            tally = annotate(task, str(path), str(target), _pickling)
    except CorpusError as error:
        return {tried: kind_of(str(error))}
    source = open_source(str(path))
    rows = [row for chunk in source.chunks() for row in chunk.rows]
    assert tally.posts == len(rows) == source.survey().rows
    assert suffix != ".jsonl" or len(rows) == sum(map(bool, map(bytes.strip, content.split(b"\n"))))
    assert open_source(str(target)).survey().rows == len(rows)
    found = READERS[target.suffix](target)
    for row, record in zip(rows, found, strict=True):
        _compare(row, record, task)
    return {tried: ""}


def _task(folder: Path, chance: Random) -> Task:
    root, model = folder / "images", folder / "model"
    for place in (root, model):
        place.mkdir()
    (root / "a.png").write_bytes(image(quarters(), "PNG"))
    return Task(
        str(model),
        chance.choice((Columns(), Columns(text="image", image="text", image_features="deep"))),
        images_root=chance.choice((None, root)),
        attention=chance.random() < 0.5,
        prefix=chance.choice(("", "mner_")),
        max_length=chance.choice((25_000, 1 << 20)),
        batch_size=chance.choice((1, 128)),
    )


@contextmanager
def _without_model() -> Iterator[None]:
    """Annotate in small chunks, without a model, and without waiting for the disk."""
    with (
        mock.patch("spacy_mner.annotate.chunks.SIZE", SIZE),
        mock.patch("spacy_mner.annotate.annotator.load_pipeline", lambda *_: _pipeline()),
        mock.patch("os.fsync"),
    ):
        yield


@functools.cache
def _pipeline() -> Language:
    """Finds entities without a model."""
    nlp = spacy.blank("en")
    # Words between white space: spaCy's own rules take quadratic time over a run of punctuation.
    nlp.tokenizer = Tokenizer(nlp.vocab)
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
    return nlp


def _pickling(work: Work, chunks: Iterable[Chunk]) -> Iterator[Part]:
    """An engine of this process, that sends what others send to and from theirs."""
    work = _sent(work)
    worker = Worker(Annotator(work.task, work.scratch), work.sink)
    for chunk in map(_sent, chunks):
        yield _sent(worker.part(chunk, worker.open(chunk)))


def _sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def _lines(path: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, path.read_bytes().splitlines()))


def _cells(path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    # As spreadsheets read it: a mark at the beginning is one of the file.
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _columns(path: Path) -> list[dict[str, Any]]:
    # By the reader of the input, so that both have what Arrow has no Python for as text.
    return [row.values for chunk in open_source(str(path)).chunks() for row in chunk.rows]


READERS = {".jsonl": _lines, ".csv": _cells, ".tsv": _cells, ".parquet": _columns}


def _compare(row: Row, record: dict[str, Any], task: Task) -> None:
    """See that a row of the output is a row of the input, and its annotation one of either kind."""
    entities, error = record[f"{task.prefix}entities"], record[f"{task.prefix}error"]
    assert (entities in (None, "")) == bool(error), f"{entities} and {error}"
    assert not row.problem or error in (row.problem, _escaped(row.problem))
    for name, value in row.values.items():
        found = record[name if name in record else _escaped(name)]
        assert _alike(value, found), f"{value!r:.200} became {found!r:.200}"


def _alike(given: Any, found: Any) -> bool:
    """Whether a value is the same, as far as the format of the output can tell."""
    if repr(given) == repr(found):
        return True
    given = json.loads(json.dumps(given, default=plain))
    if isinstance(given, str):
        return found in (given, _escaped(given))
    if given is None:
        return found in (None, "")
    found = json.loads(found) if isinstance(found, str) else found
    return given == found or repr(given) == repr(found)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
