"""Docs with their images in `.spacy` files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from spacy.attrs import DEP, ENT_ID, ENT_KB_ID, ENT_TYPE, LEMMA, NORM, ORTH, TAG
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from srsly.msgpack import Unpacker

from ..errors import CorpusError
from ..images.reference import references
from ..utils.atomic_file import atomic_file
from .posts import ReadContext, rename_labels
from .record import as_descriptor, as_objects

SUFFIX = ".spacy"

# String attributes of tokens, stored as hashes.
STRINGS = {ORTH, NORM, LEMMA, TAG, DEP, ENT_TYPE, ENT_KB_ID, ENT_ID}

# Types of image references that a file can hold.
REFERENCES = (str, Path, bytes, Image.Image, np.ndarray)


def corpus_files(path: Path) -> list[Path]:
    """Return the `.spacy` file at a path, or all visible ones below a folder, sorted.

    Raises CorpusError if there is none.
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
            f"There is no corpus at {path}. `spacy-mner convert INPUT {path}` writes one "
            "from IMGID: CoNLL, JSONL or the JSON of Label Studio."
        )
    return files


def read_docs(path: Path, vocab: Vocab, images_root: Path | None = None) -> Iterator[Doc]:
    """Read the Docs of a `.spacy` file or of a folder of them.

    images_root: folder against which relative image paths are resolved. They become absolute, so
        that the component does not resolve them against its own images_root.
    """
    root = None if images_root is None else images_root.absolute()
    for file in corpus_files(path):
        for doc in _docs_of(file, vocab):
            if root is not None:
                doc._.image = rebase(doc._.image, root)
            yield doc


def read_docs_for_conversion(path: Path, context: ReadContext) -> Iterator[Doc]:
    """Read Docs with renamed labels, without attribute values that other formats cannot hold."""
    for number, doc in enumerate(read_docs(path, context.nlp.vocab), start=1):
        if not len(doc):
            context.report(number, "no text; left out")
            continue
        rename_labels(doc, context)
        for reason in _drop_invalid_attributes(doc):
            context.report(number, f"{reason}; left out")
        yield doc


def _drop_invalid_attributes(doc: Doc) -> Iterator[str]:
    """Reset attributes with invalid values in place, and yield the reasons."""
    text, image = doc._.image_text, doc._.image
    if not isinstance(text, str | None):
        yield f"image_text is of type {type(text).__name__}, not a string"
        doc._.image_text = None
    for name, check in (("image_features", as_descriptor), ("image_objects", as_objects)):
        value = doc._.get(name)
        try:
            _ = None if value is None else check(value)
        except ValueError as error:
            yield str(error)
            doc._.set(name, None)
    images = [one for one in references(image) if isinstance(one, REFERENCES)]
    if len(images) < len(references(image)):
        yield "image is neither a reference nor a list of references"
        doc._.image = images or None


def _docs_of(file: Path, vocab: Vocab) -> Iterator[Doc]:
    try:
        docbin = DocBin().from_disk(file)
    except Exception:  # whose message names a converter that does not read posts
        source = "INPUT" if file.suffix == SUFFIX else file
        raise CorpusError(
            f"{file} is not a {SUFFIX} file, or a damaged one. "
            f"`spacy-mner convert {source} {file.with_suffix(SUFFIX)}` writes one."
        ) from None
    try:
        _check_strings(docbin, vocab)
        for doc in _unpack(docbin, vocab):
            _ = doc.ents  # raises for an invalid sequence of tags
            yield doc
    except Exception as error:  # zlib, msgpack, numpy and spaCy each have errors of their own
        raise CorpusError(
            f"{file} is a damaged {SUFFIX} file ({error}). Write it again."
        ) from error


def _check_strings(docbin: DocBin, vocab: Vocab) -> None:
    """Raise ValueError if strings of tokens are missing, which spaCy notices on access only."""
    for string in docbin.strings:
        vocab.strings.add(string)
    columns = [i for i, attribute in enumerate(docbin.attrs) if attribute in STRINGS]
    used = {value for tokens in docbin.tokens for value in tokens[:, columns].ravel().tolist()}
    if not all(value in vocab.strings for value in used):
        raise ValueError("strings of its tokens are missing")


def _unpack(docbin: DocBin, vocab: Vocab) -> Iterator[Doc]:
    # `DocBin.get_docs` looks up entry points for each Doc, which takes most of its time, and
    # training reads the corpus in every pass.
    unpacker = Unpacker(raw=False, use_list=False)
    packed = [*docbin.user_data]
    docbin.user_data = []
    for i, doc in enumerate(docbin.get_docs(vocab)):
        if i < len(packed) and packed[i] is not None:
            unpacker.feed(packed[i])
            doc.user_data.update(unpacker.unpack())
        yield doc


def write_docs(docs: Iterable[Doc], path: Path) -> None:
    """Write Docs with their images to a `.spacy` file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(DocBin(docs=docs, store_user_data=True).to_bytes())


def rebase(image: Any, root: Path) -> Any:
    """Resolve relative paths in `doc._.image` against a folder; other values are unchanged."""
    if isinstance(image, list | tuple):
        return [rebase(one, root) for one in image]
    if isinstance(image, str | Path):
        # `/` returns its right operand if that is an absolute path.
        return str(root / image)
    return image
