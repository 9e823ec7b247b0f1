"""JSON files: a list of tasks of Label Studio, or of posts in the layouts of `json_layouts`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..errors import CorpusError
from .conll import BYTE_ORDER_MARK
from .json_items import ItemConverter, load_json, refuse_lone_surrogates
from .json_layouts import tags_of
from .labelstudio import served_path
from .posts import ReadContext
from .record import parse_records
from .tags import detect_scheme
from .unrecognized import describe_bytes


def read_items(path: Path) -> list[Any]:
    """Read the items of a file, which may be a single one. Raises CorpusError."""
    data = path.read_bytes()
    if what := describe_bytes(data.partition(b"\n")[0]):
        raise CorpusError(f"{path} is {what}.")
    try:
        content = load_json(data.decode("utf-8").removeprefix(BYTE_ORDER_MARK))
    except json.JSONDecodeError as error:
        remedy = ""
        if error.msg == "Extra data":
            lines = path.with_suffix(".jsonl").name
            remedy = f" It has several JSON values: `jq -c . {path.name} > {lines}`."
        raise CorpusError(f"{path} is not JSON ({error}).{remedy}") from error
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not valid JSON in UTF-8: {error}.") from error
    match content:
        case {"classes": [*_], "annotations": [*pairs]}:  # the annotator for spaCy by tecoholic
            return [pair for pair in pairs if pair is not None]
        case {}:
            return [content]
        case [*items]:
            return items
    raise CorpusError(
        f"{path} is not a list of posts; export it from Label Studio as JSON, or write one post "
        "per line of a .jsonl file."
    )


def parse_items(items: Sequence[Any], context: ReadContext) -> Iterator[Doc]:
    """Parse the posts of items; see `parse_records`."""
    convert = ItemConverter(context, detect_scheme(tags_of(items, context.tag_names)))

    def to_record(item: Any, number: int) -> dict[str, Any]:
        refuse_lone_surrogates(item)
        record = convert(item, number)
        # A task without annotation does not differ from another post, but for its image.
        return record | {"image": served_path(record["image"])}

    return parse_records(enumerate(items, start=1), to_record, "task", context)
