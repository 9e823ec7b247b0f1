"""JSONL, one post per line; see `record` for our keys and `json_layouts` for those of others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..errors import CorpusError
from ..utils.atomic_file import atomic_file
from .conll import read_lines
from .json_items import ItemConverter, load_json, refuse_lone_surrogates
from .json_layouts import TAG_LIST, tags_of
from .posts import ReadContext
from .record import doc_to_record, parse_records
from .tags import BIO, Scheme, detect_scheme


def read_jsonl(path: Path, context: ReadContext) -> Iterator[Doc]:
    """Read the posts of a file. Raises CorpusError for a file that is a single JSON value."""
    _require_lines(path)
    # The tags of tokens are read twice: their scheme is that of the whole file.
    tagged = (line for line in read_lines(path) if TAG_LIST.search(line))
    scheme = detect_scheme(tags_of(_valid(tagged), context.tag_names))
    return parse_jsonl(read_lines(path), context, scheme)


def parse_jsonl(lines: Iterable[str], context: ReadContext, scheme: Scheme = BIO) -> Iterator[Doc]:
    """Parse the posts of lines, one at a time; see `parse_records`.

    scheme: of tags of tokens.
    """
    convert = ItemConverter(context, scheme)
    numbered = ((n, line) for n, line in enumerate(lines, start=1) if line.strip())
    return parse_records(numbered, lambda line, n: convert(_load(line), n), "line", context)


def _load(line: str) -> Any:
    try:
        record = load_json(line)
    except json.JSONDecodeError as error:  # whose message has a number of a line as well, 1
        raise ValueError(f"not JSON ({error.msg}: column {error.colno})") from error
    if "\\u" in line:
        refuse_lone_surrogates(record)
    return record


def _valid(lines: Iterable[str]) -> Iterator[Any]:
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue  # reported when the line is parsed


def _require_lines(path: Path) -> None:
    """Raise CorpusError for a file that is a single list, or values on several lines each."""
    remedy = ""
    rename = f"name it {path.with_suffix('.json').name}, which may be a list of posts"
    match [*_valid(islice(filter(str.strip, read_lines(path)), 1))]:
        case [[*items]] if not (items and isinstance(items[0], str)):  # not a text in a pair
            remedy = rename
        case []:
            try:
                json.loads("\n".join(read_lines(path)))
                remedy = rename
            except json.JSONDecodeError as error:
                is_several = error.msg == "Extra data"
                remedy = f"`jq -c . {path.name}` writes its values as lines" * is_several
            except RecursionError:
                pass  # reported when the line is parsed
    if remedy:
        raise CorpusError(f"{path} is JSON, but not one post per line: {remedy}.")


def write_jsonl(docs: Iterable[Doc], path: Path) -> None:
    """Write Docs as lines of JSON, one at a time."""
    with atomic_file(path) as file:
        for doc in docs:
            line = json.dumps(doc_to_record(doc), ensure_ascii=False)
            file.write(f"{line}\n".encode())
