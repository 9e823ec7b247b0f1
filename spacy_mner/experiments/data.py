"""The corpus of an experiment: a folder with one file for each split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import spacy
from spacy.tokens import Doc

from ..corpus.docbin import read_docs
from ..errors import CorpusError
from ..extensions import has_image, has_value
from .images import ImageFiles

Split = Literal["dev", "test"]
# The first name that there is counts.
FILES = {
    "train": ("train.spacy",),
    "dev": ("dev.spacy", "valid.spacy"),
    "test": ("test.spacy",),
}
# Attributes of a post's image, and of what may stand in its place or beside it.
BROUGHT = ("image", "image_features", "image_objects", "image_text")


@dataclass(frozen=True)
class CorpusFolder:
    """What an experiment needs to know of its corpus.

    files: split name to file; train, dev and the split that is scored.
    hashes: split name to hash of the content; `vectors` as well, where there are some.
    brings: the attributes about images that training posts have (`image_features`, …).
    size: of the scored split: posts, tokens, entities and posts_with_image; `training_posts`.
    images: what posts show, where it is encoded.
    """

    name: str
    files: dict[str, Path]
    hashes: dict[str, str]
    brings: frozenset[str]
    size: dict[str, int]
    images: ImageFiles | None = None

    @property
    def descriptors(self) -> bool:
        return "image_features" in self.brings


def read_corpus(folder: Path, split: Split, vectors: str | None = None) -> CorpusFolder:
    """Look at a corpus folder. Raises CorpusError where a split is missing or has no posts.

    vectors: the word vectors that go with it: a folder, or the name of a package.
    """
    files = {name: _find(folder, name) for name in dict.fromkeys(("train", "dev", split))}
    vocab = spacy.blank("xx").vocab
    training = [doc for doc in read_docs(files["train"], vocab) if len(doc)]
    scored = [doc for doc in read_docs(files[split], vocab) if len(doc)]
    for name, docs in (("train", training), (split, scored)):
        if not docs:
            raise CorpusError(f"There are no posts in {files[name]}.")
    hashes = {name: hash_files([file]) for name, file in files.items()}
    if vectors is not None:
        hashes["vectors"] = hash_vectors(vectors)
    return CorpusFolder(
        name=folder.name or folder.resolve().name,
        files=files,
        hashes=hashes,
        brings=frozenset(name for name in BROUGHT if any(has_value(doc, name) for doc in training)),
        size={"training_posts": len(training), **_size(scored)},
    )


def _find(folder: Path, split: str) -> Path:
    for name in FILES[split]:
        if (folder / name).is_file():
            return folder / name
    raise CorpusError(
        f"There is no {' or '.join(FILES[split])} in {folder}: `spacy-mner convert` makes it."
    )


def _size(docs: list[Doc]) -> dict[str, int]:
    return {
        "posts": len(docs),
        "tokens": sum(map(len, docs)),
        "entities": sum(len(doc.ents) for doc in docs),
        "posts_with_image": sum(map(has_image, docs)),
    }


def hash_vectors(vectors: str) -> str:
    """The hash of the vectors in a folder; for an installed package its name and version.

    Raises CorpusError where spaCy cannot load them, and where there are none.
    """
    try:
        vocab = spacy.load(vectors).vocab
    except Exception as error:  # msgpack, numpy and the parts of a pipeline have their own
        raise _no_vectors(vectors, f" ({error})") from error
    if not vocab.vectors.shape[0]:
        raise _no_vectors(vectors)
    folder = Path(vectors)
    if folder.is_dir():
        return hash_files(sorted(file for file in folder.glob("vocab/*") if file.is_file()))
    return f"{vectors} {spacy.util.get_package_version(vectors)}"


@cache
def hash_encoder(name: str) -> str:
    """The hash of a text encoder in a folder; for one on the hub its name."""
    folder = Path(name)
    return hash_files(sorted(filter(Path.is_file, folder.iterdir()))) if folder.is_dir() else name


def _no_vectors(vectors: str, reason: str = "") -> CorpusError:
    return CorpusError(
        f"There are no word vectors at {vectors}{reason}: `spacy-mner vectors` or "
        "`spacy init vectors` makes them."
    )


def hash_files(files: Iterable[Path]) -> str:
    """One hash of the names and contents of files, of 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
