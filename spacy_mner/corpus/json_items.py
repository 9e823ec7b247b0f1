"""Items of JSON files: tasks of Label Studio, and posts in other layouts."""

from __future__ import annotations

import json
from typing import Any

from .json_layouts import LayoutConverter
from .labelstudio import TaskConverter, is_task
from .posts import ReadContext
from .tags import Scheme


class ItemConverter:
    """Converts the items of a file to records.

    scheme: of the tags of the file.
    """

    def __init__(self, context: ReadContext, scheme: Scheme) -> None:
        self._convert_task = TaskConverter(context)
        self._convert_post = LayoutConverter(context, scheme)

    def __call__(self, item: Any, number: int) -> dict[str, Any]:
        """Convert an item. Raises ValueError for one that cannot be read with certainty."""
        return self._convert_task(item, number) if is_task(item) else self._convert_post(item)


def refuse_lone_surrogates(value: Any) -> None:
    """Raise ValueError for lone surrogates: valid in JSON, but not in UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"\\u{ord(error.object[error.start]):04x}"
        raise ValueError(
            f"{code} is half of a character (lone surrogates are not valid in UTF-8), as of a text "
            "that was cut inside an emoji: delete it"
        ) from error


def load_json(text: str) -> Any:
    """Parse a JSON value. Raises ValueError for an invalid one, or a key that occurs twice."""
    return json.loads(text, object_pairs_hook=_unique_keys)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'the key "{repeated}" occurs twice in an object; delete one')
    return item
