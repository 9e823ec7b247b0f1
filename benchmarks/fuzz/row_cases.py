"""Corrupted inputs of bulk annotation: the output has every row, annotated or with its error."""

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

from spacy_mner.annotate.chunks import Chunk, Row
from spacy_mner.annotate.engines import AnnotatedChunk, Job
from spacy_mner.annotate.engines.worker import Worker
from spacy_mner.annotate.formats import open_source
from spacy_mner.annotate.formats.rows import json_default
from spacy_mner.annotate.run import annotate
from spacy_mner.annotate.task import Columns, Task
from spacy_mner.errors import MNERError
from tests.images.samples import content as image
from tests.images.samples import quarters

from .cases import Verdict, category, random_of
from .mutations import mutate, mutations_for
from .row_mutations import mutate_rows
from .row_seeds import POSTS, SIZE, WRITERS, pairs_of, row_seeds

FORMATS = tuple(WRITERS)
PATTERNS = [{"label": "PER", "pattern": "Duke Dumont"}, {"label": "Z", "pattern": [{}, {}, {}]}]


@dataclass(frozen=True)
class RowCases:
    """Inputs of all formats in equal shares, with mutated bytes, rows, or both."""

    seed: int
    seeds: dict[str, list[bytes]] = field(default_factory=row_seeds)

    def file(self, number: int) -> tuple[bytes, str]:
        """Return a corrupted file and how it was made."""
        suffix, content, names = self._mutated(random_of(self.seed, number))
        return content, f"{suffix}: {', '.join(names)}"

    def prepare(self, folder: Path) -> None:
        """Load the pipeline once."""
        for suffix, contents in self.seeds.items():
            for number, content in enumerate(contents):
                subfolder = folder / f"{number}{suffix}"
                subfolder.mkdir()
                judge(suffix, content, subfolder, Random(number))

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Annotate a corrupted file and check the output."""
        rng = random_of(self.seed, number)
        suffix, content, _ = self._mutated(rng)
        return judge(suffix, content, folder, rng)

    def _mutated(self, rng: Random) -> tuple[str, bytes, list[str]]:
        suffix, of_rows = rng.choice(FORMATS), rng.random() < 0.6
        content, names = rng.choice(self.seeds[suffix]), []
        if of_rows:
            rows, names = mutate_rows(pairs_of(POSTS), rng)
            content = WRITERS[suffix](rows)
        if not of_rows or rng.random() < 0.2:
            other = rng.choice(self.seeds[rng.choice(FORMATS)])
            content, more = mutate(content, other, rng, mutations_for(suffix, rng))
            names = [*names, *more]
        return suffix, content, names


def judge(suffix: str, content: bytes, folder: Path, rng: Random) -> Verdict:
    """Annotate a file into a random format.

    Raises AssertionError if the output does not have the rows of the input; any
    MNERError is a result.
    """
    path, target = folder / f"in{suffix}", folder / f"out{rng.choice(FORMATS)}"
    path.write_bytes(content)
    tried = f"{suffix} to {target.suffix}"
    try:
        task = _task(folder, rng)
        with _rules_in_place_of_model():
            statistics = annotate(task, str(path), str(target), _pickling)
    except MNERError as error:
        return {tried: category(str(error))}
    source = open_source(str(path))
    rows = [row for chunk in source.chunks() for row in chunk.rows]
    assert statistics.posts == len(rows) == source.inspect().n_rows
    assert suffix != ".jsonl" or len(rows) == sum(map(bool, map(bytes.strip, content.split(b"\n"))))
    assert open_source(str(target)).inspect().n_rows == len(rows)
    found = READERS[target.suffix](target)
    for row, record in zip(rows, found, strict=True):
        _compare(row, record, task)
    return {tried: ""}


def _task(folder: Path, rng: Random) -> Task:
    root, model = folder / "images", folder / "model"
    for subfolder in (root, model):
        subfolder.mkdir()
    (root / "a.png").write_bytes(image(quarters(), "PNG"))
    return Task(
        str(model),
        rng.choice((Columns(), Columns(text="image", image="text", image_features="deep"))),
        images_root=rng.choice((None, root)),
        attention=rng.random() < 0.5,
        prefix=rng.choice(("", "mner_")),
        max_length=rng.choice((25_000, 1 << 20)),
        batch_size=rng.choice((1, 128)),
    )


@contextmanager
def _rules_in_place_of_model() -> Iterator[None]:
    """Annotate in small chunks, without a model and without fsync."""
    with (
        mock.patch("spacy_mner.annotate.chunks.SIZE", SIZE),
        mock.patch("spacy_mner.annotate.annotator.load_pipeline", lambda *_: _pipeline()),
        mock.patch("os.fsync"),
    ):
        yield


@functools.cache
def _pipeline() -> Language:
    """A pipeline that finds entities by rules."""
    nlp = spacy.blank("en")
    # spaCy's tokenizer takes quadratic time for a run of punctuation.
    nlp.tokenizer = Tokenizer(nlp.vocab)
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
    return nlp


def _pickling(job: Job, chunks: Iterable[Chunk]) -> Iterator[AnnotatedChunk]:
    """An engine in this process that pickles what others send between processes."""
    job = _pickled(job)
    worker = Worker(job)
    for chunk in map(_pickled, chunks):
        yield _pickled(worker.annotate(chunk))


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def _lines(path: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, path.read_bytes().splitlines()))


def _cells(path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    # With a byte order mark, as spreadsheets read it.
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
    return [dict(zip(header, row, strict=True)) for row in rows]


def _columns(path: Path) -> list[dict[str, Any]]:
    # Both sides have Arrow types without a Python equivalent as text.
    return [row.values for chunk in open_source(str(path)).chunks() for row in chunk.rows]


READERS = {".jsonl": _lines, ".csv": _cells, ".tsv": _cells, ".parquet": _columns}


def _compare(row: Row, record: dict[str, Any], task: Task) -> None:
    """Check that the output has the values of the input, and either entities or an error."""
    entities, error = record[f"{task.prefix}entities"], record[f"{task.prefix}error"]
    assert (entities in (None, "")) == bool(error), f"{entities} and {error}"
    assert not row.error or error in (row.error, _escaped(row.error))
    for name, value in row.values.items():
        found = record[name if name in record else _escaped(name)]
        assert _equal(value, found), f"{value!r:.200} became {found!r:.200}"


def _equal(given: Any, found: Any) -> bool:
    """Whether a value is the same, up to the types of the output's format."""
    if repr(given) == repr(found):
        return True
    given = json.loads(json.dumps(given, default=json_default))
    if isinstance(given, str):
        return found in (given, _escaped(given))
    if given is None:
        return found in (None, "")
    found = json.loads(found) if isinstance(found, str) else found
    return given == found or repr(given) == repr(found)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
