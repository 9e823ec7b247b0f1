"""Damaged corpora, which are converted, or refused in words for their owner."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from spacy_mner.corpus import convert as convert_module
from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.errors import CorpusError
from spacy_mner.training.reader import MultimodalCorpus

from .cases import Verdict, chance_of, kind_of
from .containers import inside_zip, inside_zlib
from .corpus_seeds import CONLL, corpus_seeds, lookup_seeds
from .mutations import damage, fitting

# What is done with a file: it is the corpus, or the lookup file.
CONVERT, LOOK_UP = "convert", "look up"


def all_seeds() -> dict[tuple[str, str], list[bytes]]:
    """Sound files by what is done with them and by their suffix."""
    by_use = {CONVERT: corpus_seeds(), LOOK_UP: lookup_seeds()}
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
        """Load the tokenizer once: it takes ten times as long as all else of a case."""
        convert_module.blank_pipeline = functools.cache(convert_module.blank_pipeline)
        for (use, suffix), contents in self.seeds.items():
            for number, content in enumerate(contents):
                place = folder / f"{use} {number}{suffix}"
                place.mkdir()
                judge(use, suffix, content, place, Random(number))

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Convert a damaged file, and read back what was written."""
        chance = chance_of(self.seed, number)
        (use, suffix), content, _ = self._damaged(chance)
        # Strings of twenty thousand damaged corpora would stay in the vocabulary otherwise.
        with convert_module.blank_pipeline("en").memory_zone():
            return judge(use, suffix, content, folder, chance)

    def _damaged(self, chance: Random) -> tuple[tuple[str, str], bytes, list[str]]:
        use, suffix = chance.choice(list(self.seeds))
        content = chance.choice(self.seeds[use, suffix])
        other = chance.choice(self.seeds[chance.choice(list(self.seeds))])
        ways: list[str] = []

        def change(given: bytes) -> bytes:
            changed, names = damage(given, other, chance, fitting(suffix, chance))
            ways.extend(names)
            return changed

        within = chance.random() < 0.75
        if within and suffix == ".spacy":
            return (use, suffix), inside_zlib(content, change), ["inside_zlib", *ways]
        if within and suffix == ".npz":
            return (use, suffix), inside_zip(content, change, chance.randrange(2)), ways
        return (use, suffix), change(content), ways


def judge(use: str, suffix: str, content: bytes, folder: Path, chance: Random) -> Verdict:
    """Do with a file what it is for.

    Raises whatever is no CorpusError, and AssertionError where what was written does not read
    back as what was said of it.
    """
    path = folder / f"in{suffix}"
    path.write_bytes(content)
    try:
        (_convert if use == CONVERT else _look_up)(path, folder, chance)
    except CorpusError as error:
        return {f"{use} {suffix}": kind_of(str(error))}
    return {f"{use} {suffix}": ""}


def _convert(path: Path, folder: Path, chance: Random) -> None:
    root = folder / "images"
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
    nlp = convert_module.blank_pipeline("en")
    docs = list(read_docs(packed, nlp.vocab))
    assert len(docs) == summary.posts
    examples = list(MultimodalCorpus(packed)(nlp))
    assert len(examples) == sum(len(doc) > 0 for doc in docs)
