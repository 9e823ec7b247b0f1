"""Docs with their images in `.spacy` files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.attrs import DEP, ENT_ID, ENT_KB_ID, ENT_TYPE, LEMMA, NORM, ORTH, TAG
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from srsly.msgpack import Unpacker

from ..errors import CorpusError
from ..utils.atomic_file import atomic_file

SUFFIX = ".spacy"

# Attributes of tokens that are strings, which a file holds by their hashes.
STRINGS = {ORTH, NORM, LEMMA, TAG, DEP, ENT_TYPE, ENT_KB_ID, ENT_ID}


def corpus_files(path: Path) -> list[Path]:
    """The `.spacy` files that a path stands for: itself, or all below a folder, sorted.

    Raises CorpusError where there is none.
    """
    if path.is_dir():
        files = sorted(
            file
            for file in path.rglob(f"*{SUFFIX}")
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    else:
        files = [path] if path.is_file() else []
    if not files:
        raise CorpusError(
            f"There is no corpus at {path}. `spacy-mner convert INPUT {path}` makes one "
            "from IMGID: CoNLL, JSONL or the JSON of Label Studio."
        )
    return files


def read_docs(path: Path, vocab: Vocab, images_root: Path | None = None) -> Iterator[Doc]:
    """Read the Docs of a `.spacy` file or of a folder of them.

    images_root: where given, a relative image path is taken from there. It becomes absolute, so
        that the images_root of a component does not go in front of it once more.
    """
    root = None if images_root is None else images_root.absolute()
    for file in corpus_files(path):
        for doc in _docs_of(file, vocab):
            if root is not None:
                doc._.image = rebase(doc._.image, root)
            yield doc


def _docs_of(file: Path, vocab: Vocab) -> Iterator[Doc]:
    try:
        docbin = DocBin().from_disk(file)
        _check_strings(docbin, vocab)
        for doc in _unpack(docbin, vocab):
            _ = doc.ents  # raises where tags are those of no entities
            yield doc
    except Exception as error:  # zlib, msgpack, numpy and spaCy each have errors of their own
        raise CorpusError(f"{file} is not a {SUFFIX} file, or a damaged one ({error}).") from error


def _check_strings(docbin: DocBin, vocab: Vocab) -> None:
    """Refuse what would fail wherever a string is asked for: tokens whose strings are not there."""
    for string in docbin.strings:
        vocab.strings.add(string)
    columns = [i for i, attribute in enumerate(docbin.attrs) if attribute in STRINGS]
    used = {value for tokens in docbin.tokens for value in tokens[:, columns].ravel().tolist()}
    if not all(value in vocab.strings for value in used):
        raise ValueError("strings of its tokens are missing")


def _unpack(docbin: DocBin, vocab: Vocab) -> Iterator[Doc]:
    # `get_docs` looks for entry points once a Doc, which takes longer than all the rest; training
    # reads the corpus in every pass.
    unpacker = Unpacker(raw=False, use_list=False)
    packed = [*docbin.user_data]
    docbin.user_data = []
    for i, doc in enumerate(docbin.get_docs(vocab)):
        if i < len(packed) and packed[i] is not None:
            unpacker.feed(packed[i])
            doc.user_data.update(unpacker.unpack())
        yield doc


def write_docs(docs: Iterable[Doc], path: Path) -> None:
    """Write Docs with their images to a `.spacy` file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(DocBin(docs=docs, store_user_data=True).to_bytes())


def rebase(image: Any, root: Path) -> Any:
    """Take relative paths in `doc._.image` from a folder; anything else stays as it is."""
    if isinstance(image, list | tuple):
        return [rebase(one, root) for one in image]
    if isinstance(image, str | Path):
        # An absolute path on the right side of `/` wins.
        return str(root / image)
    return image
