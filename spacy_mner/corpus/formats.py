"""The corpus formats, by the suffix of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from spacy.tokens import Doc

from ..errors import UsageError
from . import conll, docbin, json_files, jsonl, labelstudio
from .posts import ReadContext
from .unrecognized import BRAT

Reader = Callable[[Path, ReadContext], Iterator[Doc]]
Writer = Callable[[Iterable[Doc], Path, Path | None], None]

T = TypeVar("T")


@dataclass(frozen=True)
class Format:
    """A corpus format.

    suffixes: of its files.
    unit: what `Problem.line` counts.
    read: reads Docs, reporting problems to the context.
    write: writes Docs to a file, given the folder of the images; None for input formats.
    images_by_id: image references are ids of images, not paths.
    """

    suffixes: tuple[str, ...]
    unit: str
    read: Reader
    write: Writer | None = None
    images_by_id: bool = False


FORMATS = (
    Format(
        conll.SUFFIXES,
        "line",
        conll.read_conll,
        images_by_id=True,
    ),
    Format(
        (".jsonl",),
        "line",
        jsonl.read_jsonl,
        lambda docs, path, _: jsonl.write_jsonl(docs, path),
    ),
    Format(
        (".json",),
        "task",
        lambda path, context: json_files.parse_items(json_files.read_items(path), context),
        labelstudio.write_tasks,
    ),
    Format(
        (docbin.SUFFIX,),
        "post",
        docbin.read_docs_for_conversion,
        lambda docs, path, _: docbin.write_docs(docs, path),
    ),
)


def format_of(path: Path) -> Format:
    """Return the format of a file to read. Raises UsageError for an unknown suffix."""
    if path.suffix.lower() == ".ann":
        raise UsageError(f"{path} is {BRAT}.")
    formats = {suffix: one for one in FORMATS for suffix in one.suffixes}
    return _lookup(formats, path, "an input", " Copy a file of tokens with tags to NAME.conll.")


def writer_of(path: Path) -> Writer:
    """Return the function that writes a file. Raises UsageError for an unknown suffix."""
    writers = {suffix: one.write for one in FORMATS if one.write for suffix in one.suffixes}
    return _lookup(writers, path, "an output")


def _lookup(by_suffix: Mapping[str, T], path: Path, role: str, hint: str = "") -> T:
    try:
        return by_suffix[path.suffix.lower()]
    except KeyError:
        known = ", ".join(filter(None, by_suffix))
        raise UsageError(f"{path}: {role} must end in one of {known}.{hint}") from None
