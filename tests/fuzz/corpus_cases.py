"""Damaged corpora, which are converted, annotated, or refused in words for their owner."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from spacy_mner.bulk.chunks import Chunk
from spacy_mner.bulk.engines import Part, Work
from spacy_mner.bulk.formats import open_source
from spacy_mner.bulk.run import annotate
from spacy_mner.bulk.tally import Tally
from spacy_mner.bulk.task import Task
from spacy_mner.corpus import convert as convert_module
from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.corpus.errors import CorpusError
from spacy_mner.corpus.reader import MultimodalCorpus

from .cases import Verdict, chance_of, kind_of
from .containers import inside_zip, inside_zlib
from .corpus_seeds import CONLL, bulk_seeds, corpus_seeds, lookup_seeds
from .mutations import BINARY, IN_PLACE, STRUCTURED, TEXTUAL, Mutation, damage

# What is done with a file: in what it is the corpus, the lookup file, or the input.
CONVERT, LOOK_UP, ANNOTATE = "convert", "look up", "annotate"
PACKED = (".spacy", ".npz", ".parquet")

ENTITY = {"start": 0, "end": 2, "label": "PER", "text": "Bo", "score": 0.5}
FOUND = {"entities": [ENTITY], "image_status": "used", "error": None}
FAILED = {"entities": None, "image_status": None, "error": "no text"}


def all_seeds() -> dict[tuple[str, str], list[bytes]]:
    """Sound files by what is done with them and by their suffix."""
    by_use = {CONVERT: corpus_seeds(), LOOK_UP: lookup_seeds(), ANNOTATE: bulk_seeds()}
    return {
        (use, suffix): contents
        for use, seeds in by_use.items()
        for suffix, contents in seeds.items()
    }


@dataclass(frozen=True)
class CorpusCases:
    """Damaged corpora of all formats, in equal shares."""

    seed: int
    seeds: dict[tuple[str, str], list[bytes]] = field(default_factory=all_seeds)

    def file(self, number: int) -> tuple[bytes, str]:
        """A damaged file, and how it was made."""
        (use, suffix), content, ways = self._damaged(chance_of(self.seed, number))
        return content, f"{use} {suffix}: {', '.join(ways)}"

    def prepare(self, folder: Path) -> None:
        """Load the tokeniser once: it takes ten times as long as all else of a case."""
        convert_module._blank = functools.cache(convert_module._blank)
        for (use, suffix), contents in self.seeds.items():
            for number, content in enumerate(contents):
                place = folder / f"{use} {number}{suffix}"
                place.mkdir()
                judge(use, suffix, content, place, Random(number))

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Convert or annotate a damaged file, and read back what was written."""
        chance = chance_of(self.seed, number)
        (use, suffix), content, _ = self._damaged(chance)
        # Strings of twenty thousand damaged corpora would stay in the vocabulary otherwise.
        with convert_module._blank("en").memory_zone():
            return judge(use, suffix, content, folder, chance)

    def _damaged(self, chance: Random) -> tuple[tuple[str, str], bytes, list[str]]:
        use, suffix = chance.choice(list(self.seeds))
        content = chance.choice(self.seeds[use, suffix])
        other = chance.choice(self.seeds[chance.choice(list(self.seeds))])
        ways: list[str] = []

        def change(given: bytes) -> bytes:
            changed, names = damage(given, other, chance, _mutations(suffix, chance))
            ways.extend(names)
            return changed

        within = chance.random() < 0.75
        if within and suffix == ".spacy":
            return (use, suffix), inside_zlib(content, change), ["inside_zlib", *ways]
        if within and suffix == ".npz":
            return (use, suffix), inside_zip(content, change, chance.randrange(2)), ways
        return (use, suffix), change(content), ways


def _mutations(suffix: str, chance: Random) -> tuple[Mutation, ...]:
    if suffix in PACKED:
        return chance.choice((BINARY, IN_PLACE))
    if chance.random() < 0.3:
        return BINARY
    return STRUCTURED if suffix in (".json", ".jsonl") else TEXTUAL


def judge(use: str, suffix: str, content: bytes, folder: Path, chance: Random) -> Verdict:
    """Do with a file what it is for.

    Raises whatever is no CorpusError, and AssertionError where what was written does not read
    back as what was said of it.
    """
    path = folder / f"in{suffix}"
    path.write_bytes(content)
    ways: dict[str, Callable[[Path, Path, Random], None]] = {
        CONVERT: _convert,
        LOOK_UP: _look_up,
        ANNOTATE: _annotate,
    }
    try:
        ways[use](path, folder, chance)
    except CorpusError as error:
        return {f"{use} {suffix}": kind_of(str(error))}
    return {f"{use} {suffix}": ""}


def _convert(path: Path, folder: Path, chance: Random) -> None:
    root = folder / "pictures"
    root.mkdir()
    for name in ("1015799.jpg", "a.jpg", "2_1.png"):
        (root / name).touch()
    orphans = chance.choice(("open", "drop"))
    _there_and_back(path, folder, Options(chance.choice((None, root)), orphans=orphans), chance)


def _look_up(path: Path, folder: Path, chance: Random) -> None:
    corpus = folder / "corpus.txt"
    corpus.write_text(CONLL, encoding="utf-8")
    is_features = path.suffix == ".npz"
    options = Options(features=path) if is_features else Options(captions=path)
    _there_and_back(corpus, folder, options, chance)


def _there_and_back(path: Path, folder: Path, options: Options, chance: Random) -> None:
    target = folder / f"out{chance.choice(('.spacy', '.jsonl', '.json'))}"
    summary = convert(path, target, options)
    packed = target
    if target.suffix != ".spacy":
        packed = folder / "back.spacy"
        try:
            back = convert(target, packed)
        except CorpusError as error:
            raise AssertionError(f"what was written cannot be read: {error}") from error
        assert (back.posts, back.entities) == (summary.posts, summary.entities), back.problems
    nlp = convert_module._blank("en")
    docs = list(read_docs(packed, nlp.vocab))
    assert len(docs) == summary.posts
    examples = list(MultimodalCorpus(packed)(nlp))
    assert len(examples) == sum(len(doc) > 0 for doc in docs)


def _annotate(path: Path, folder: Path, chance: Random) -> None:
    target = folder / f"out{chance.choice(('.jsonl', '.csv', '.tsv', '.parquet'))}"
    model = folder / "model"
    model.mkdir()
    tally = annotate(Task(str(model)), str(path), str(target), _without_model)
    written = open_source(str(target))
    assert written.survey().rows == tally.posts
    problems = [row.problem for chunk in written.chunks() for row in chunk.rows]
    assert problems == [""] * tally.posts


def _without_model(work: Work, chunks: Iterable[Chunk]) -> Iterator[Part]:
    """An engine that finds the same in every post that could be read."""
    for chunk in chunks:
        annotations = [dict(FAILED if row.problem else FOUND) for row in chunk.rows]
        content = work.sink.encode(chunk, annotations)
        yield Part(chunk.number, content, Tally.of(annotations, chunk.first))
