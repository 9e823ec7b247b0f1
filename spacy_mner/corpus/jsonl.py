"""JSONL, one post a line, with Prodigy's keys (see `record`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..utils.atomic_file import atomic_file
from .posts import Labels, Post
from .problems import Problem
from .record import doc_to_record, read_posts

SUFFIX = ".jsonl"


def parse_jsonl(
    lines: Iterable[str],
    *,
    nlp: Language,
    labels: Labels,
    report: Callable[[Problem], None],
) -> Iterator[Post]:
    """Read posts from lines of JSON, one at a time; see `read_posts`."""
    numbered = ((n, line) for n, line in enumerate(lines, start=1) if line.strip())
    return read_posts(numbered, _load, noun="line", nlp=nlp, labels=labels, report=report)


def _load(line: str, _: int) -> Any:
    record = json.loads(line)
    if "\\u" in line:
        refuse_half_characters(record)
    return record


def refuse_half_characters(value: Any) -> None:
    """Raise ValueError for half of a surrogate pair: valid JSON, and no file can hold it."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")


def write_jsonl(docs: Iterable[Doc], path: Path) -> None:
    """Write Docs as lines of JSON, one at a time."""
    with atomic_file(path) as file:
        for doc in docs:
            line = json.dumps(doc_to_record(doc), ensure_ascii=False)
            file.write(f"{line}\n".encode())
