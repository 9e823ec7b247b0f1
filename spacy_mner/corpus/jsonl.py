"""JSONL with Prodigy's keys, one post per line; see `record`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..utils.atomic_file import atomic_file
from .posts import ReadContext
from .record import doc_to_record, parse_records


def parse_jsonl(lines: Iterable[str], context: ReadContext) -> Iterator[Doc]:
    """Parse the posts of lines, one at a time; see `parse_records`."""
    numbered = ((n, line) for n, line in enumerate(lines, start=1) if line.strip())
    return parse_records(numbered, _load, "line", context)


def _load(line: str, _: int) -> Any:
    record = json.loads(line)
    if "\\u" in line:
        refuse_lone_surrogates(record)
    return record


def refuse_lone_surrogates(value: Any) -> None:
    """Raise ValueError for lone surrogates: valid in JSON, but not in UTF-8."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")


def write_jsonl(docs: Iterable[Doc], path: Path) -> None:
    """Write Docs as lines of JSON, one at a time."""
    with atomic_file(path) as file:
        for doc in docs:
            line = json.dumps(doc_to_record(doc), ensure_ascii=False)
            file.write(f"{line}\n".encode())
