"""What a JSON object without a text is, and the command that makes posts of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ..utils.text import short_repr
from .unread_annotation import jq_step

# Keys of texts in other formats, in lower case.
TEXT_NAMES = (
    *("text", "content", "document", "textcontent", "source", "sentence", "tweet", "body", "post"),
    *("raw_text", "raw_content", "caption", "message", "full_text"),
)

# A key by which a format is recognized → what it is, and what to do.
OTHER_FORMATS = {
    "paragraphs": "training data of spaCy 2: `python -m spacy convert FILE FOLDER` writes .spacy",
    "%FEATURE_STRUCTURES": "UIMA CAS JSON: export it from INCEpTION as WebAnno TSV v3.3",
}


def explain_no_text(
    item: Mapping[str, Any], is_post: Callable[[Any], bool], text_keys: Collection[str]
) -> str:
    """Return what an object without a text is, and what to do.

    is_post: whether an object is one.
    text_keys: the keys of texts and tokens.
    """
    for key, explanation in OTHER_FORMATS.items():
        if key in item:
            return explanation
    if any(map(_is_column, map(item.get, text_keys))):
        return (
            "no post, but a table by columns: write it by rows, as DataFrame.to_json(FILE, "
            "orient='records', lines=True) does"
        )
    if "text" in item:
        return f'"text" is {short_repr(item["text"])}, not a string'
    message = f'no "text"; its keys are {short_repr(list(item))}'
    inner = list(_values(item, ""))
    strings = {
        path: (path.rpartition(".")[2].lower() in TEXT_NAMES, len(value.split()))
        for path, value in inner
        if isinstance(value, str)
    }
    texts = sorted(
        (path for path in strings if strings[path] > (False, 1)),
        key=strings.__getitem__,
        reverse=True,
    )
    lists = [path for path, value in inner if isinstance(value, list) and any(map(is_post, value))]
    # A span may have a text as well, but hardly beside a text at the top.
    if lists and not any(path.count(".") == 1 for path in texts):
        return f"{message}: `jq -c '{lists[0]}[]'` writes the posts of a file as lines"
    if texts:
        return f"{message}: rename the one with the text, such as `jq -c '.text = {texts[0]}'`"
    return f"{message}: rename the one with the text"


def _is_column(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], str | list)
    )


def _values(item: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values in an object and in the objects in it, with their paths in jq."""
    for key, value in item.items():
        inner = path + jq_step(str(key))
        if isinstance(value, Mapping):
            yield from _values(value, inner)
        else:
            yield inner, value
