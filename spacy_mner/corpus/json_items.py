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
    json.dumps(value, ensure_ascii=False).encode("utf-8")
