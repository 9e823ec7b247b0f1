"""Corrupted corpora, which are converted or rejected with a CorpusError."""

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

from .cases import Verdict, category, random_of
from .containers import inside_zip, inside_zlib
from .corpus_seeds import CONLL, attachment_seeds, corpus_seeds
from .mutations import mutate, mutations_for

# Use of a file: as the corpus, or as its descriptors or captions.
CONVERT, ATTACH = "convert", "attach"


def all_seeds() -> dict[tuple[str, str], list[bytes]]:
    """Return valid files by use and suffix."""
    by_use = {CONVERT: corpus_seeds(), ATTACH: attachment_seeds()}
    return {
        (use, suffix): contents
        for use, seeds in by_use.items()
        for suffix, contents in seeds.items()
    }


@dataclass(frozen=True)
class CorpusCases:
    """Corrupted corpora of all formats, in equal shares."""

    seed: int
    seeds: dict[tuple[str, str], list[bytes]] = field(default_factory=all_seeds)

    def file(self, number: int) -> tuple[bytes, str]:
        """Return a corrupted file and how it was made."""
        (use, suffix), content, names = self._mutated(random_of(self.seed, number))
        return content, f"{use} {suffix}: {', '.join(names)}"

    def prepare(self, folder: Path) -> None:
        """Load the tokenizer once, which takes ten times as long as a case."""
        convert_module.blank_pipeline = functools.cache(convert_module.blank_pipeline)
        for (use, suffix), contents in self.seeds.items():
            for number, content in enumerate(contents):
                place = folder / f"{use} {number}{suffix}"
                place.mkdir()
                judge(use, suffix, content, place, Random(number))

    def __call__(self, number: int, folder: Path) -> Verdict:
        """Convert a corrupted file and read the output."""
        rng = random_of(self.seed, number)
        (use, suffix), content, _ = self._mutated(rng)
        return judge(use, suffix, content, folder, rng)

    def _mutated(self, rng: Random) -> tuple[tuple[str, str], bytes, list[str]]:
        use, suffix = rng.choice(list(self.seeds))
        content = rng.choice(self.seeds[use, suffix])
        other = rng.choice(self.seeds[rng.choice(list(self.seeds))])
        names: list[str] = []

        def change(given: bytes) -> bytes:
            changed, names = mutate(given, other, rng, mutations_for(suffix, rng))
            names.extend(names)
            return changed

        within = rng.random() < 0.75
        if within and suffix == ".spacy":
            return (use, suffix), inside_zlib(content, change), ["inside_zlib", *names]
        if within and suffix == ".npz":
            return (use, suffix), inside_zip(content, change, rng.randrange(2)), names
        return (use, suffix), change(content), names


def judge(use: str, suffix: str, content: bytes, folder: Path, rng: Random) -> Verdict:
    """Convert a file, or convert a corpus with it.

    Raises AssertionError if the output does not match the summary; a CorpusError is a result.
    """
    path = folder / f"in{suffix}"
    path.write_bytes(content)
    try:
        (_convert if use == CONVERT else _attach)(path, folder, rng)
    except CorpusError as error:
        return {f"{use} {suffix}": category(str(error))}
    return {f"{use} {suffix}": ""}


def _convert(path: Path, folder: Path, rng: Random) -> None:
    root = folder / "images"
    root.mkdir()
    for name in ("1015799.jpg", "a.jpg", "2_1.png"):
        (root / name).touch()
    orphans = rng.choice(("open", "drop"))
    _round_trip(path, folder, Options(rng.choice((None, root)), orphans=orphans), rng)


def _attach(path: Path, folder: Path, rng: Random) -> None:
    corpus = folder / "corpus.txt"
    corpus.write_text(CONLL, encoding="utf-8")
    is_features = path.suffix == ".npz"
    options = Options(features=path) if is_features else Options(captions=path)
    _round_trip(corpus, folder, options, rng)


def _round_trip(path: Path, folder: Path, options: Options, rng: Random) -> None:
    target = folder / f"out{rng.choice(('.spacy', '.jsonl', '.json'))}"
    summary = convert(path, target, options)
    packed = target
    if target.suffix != ".spacy":
        packed = folder / "back.spacy"
        try:
            back = convert(target, packed)
        except CorpusError as error:
            raise AssertionError(f"the output cannot be read: {error}") from error
        assert (back.posts, back.entities) == (summary.posts, summary.entities), back.problems
    nlp = convert_module.blank_pipeline("en")
    docs = list(read_docs(packed, nlp.vocab))
    assert len(docs) == summary.posts
    examples = list(MultimodalCorpus(packed)(nlp))
    assert len(examples) == sum(len(doc) > 0 for doc in docs)
