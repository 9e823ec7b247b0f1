"""Recognition of annotation and images under keys that are not read, as opposed to metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ..images.data_uris import is_data_uri
from ..images.decoding import image_suffixes
from ..utils.text import short_repr
from .tags import parse_tag

# `entities` of a tweet is an object with these keys, or with entities that Twitter found.
TWEET_ENTITIES = frozenset(
    ("hashtags", "cashtags", "symbols", "mentions", "user_mentions", "urls", "media", "polls")
)
# Keys that hold no entities of the text, at any depth.
# fmt: off
METADATA = TWEET_ENTITIES | frozenset((
    "id", "text", "image", "images", "image_path", "image_features", "image_objects", "image_text",
    "annotated_labels",
    "meta", "metadata", "missing", "sents", "options", "config", "relations", "arcs", "accept",
    "audio_spans", "prediction", "predictions", "negatives",
    "pos", "pos_tags", "chunk_tags", "upos", "xpos", "lemmas",
))
# fmt: on

# Names of keys that hold annotation, in snake case.
ANNOTATION = re.compile(
    r"(?:^|_)(?:ner|ents?|entity|entities|spans?|annots?|annotations?|mentions?|tags?)(?:_|$)"
)
# Those of them that have other values. Tags are words about the post unless they are objects.
OTHER_NAMES = ("context_annotations", "extended_entities", "display_text_range", "tags")

# Names of keys that hold images.
IMAGE = re.compile(r"image|img|photo|picture", re.I)

# Names of keys that hold a position in a text.
POSITION = re.compile(r"start|begin|from|offset|end|stop|^to$|length|pos|index|indices|span", re.I)


def is_tweet_entities(value: Any) -> bool:
    """Whether a value is the `entities` of a tweet: its hashtags, mentions, links and the like.

    Entities that Twitter itself found have a `normalized_text`.
    """
    if not isinstance(value, Mapping) or not value.keys() <= TWEET_ENTITIES | {"annotations"}:
        return False
    found = value.get("annotations") or []
    return isinstance(found, list) and all(
        isinstance(one, Mapping) and "normalized_text" in one for one in found
    )


@dataclass(frozen=True)
class UnreadAnnotation:
    """A key that looks like annotation.

    command: for jq, to read it under another key; "" if none is known.
    """

    key: str
    command: str = ""

    def __str__(self) -> str:
        rename = f"rename it (jq -c '{self.command}')" if self.command else 'write it as "spans"'
        return (
            f'"{self.key}" looks like annotation, but is not read: {rename}, or delete it if it '
            "is not"
        )


def find_unread(
    item: Mapping[str, Any], read: set[str], n_tokens: int | None = None, has_tags: bool = False
) -> UnreadAnnotation | None:
    """Return the first key that is not read, but looks like annotation.

    read: keys that are read.
    n_tokens: number of gold tokens, of which a list of this length may be the tags; None if such a
        list is not annotation.
    has_tags: whether tags of the tokens are read, beside which there may be others.
    """
    for key, value in item.items():
        if key == "mentions" and isinstance(value, list) and any(map(_is_labeled, value)):
            return UnreadAnnotation(key, ".spans = .mentions")
        if key in read or key in METADATA or key.startswith("_") or is_tweet_entities(value):
            continue
        path = jq_step(key)
        if (spans := _path_of_spans(value, path)) is not None:
            return UnreadAnnotation(key, f".spans = {spans}")
        if _is_list_of_tags(value, n_tokens):
            tags = f'({path} / " ")' if isinstance(value, str) else path
            return UnreadAnnotation(key, f".ner_tags = {tags}")
        if not (has_tags and isinstance(value, list)) and _is_named_annotation(key, value):
            return UnreadAnnotation(key)
    return None


def find_unread_image(item: Mapping[str, Any], read: Container[str]) -> str | None:
    """Return the first key that is not read, but looks like one of images; None if there is none.

    read: keys that are read.
    """
    return next(
        (key for key, value in item.items() if key not in read and _is_image(key, value)), None
    )


def unread_image_hint(key: str, name: str = "image") -> str:
    """Describe a key of `find_unread_image`, and the remedy. name: of the key that is read."""
    return f"{short_repr(key)} looks like one, but is not read; rename it {name!r}"


def _is_image(key: str, value: Any) -> bool:
    if isinstance(value, Mapping):  # of a data set of Hugging Face
        value = value.get("path")
    values = value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and one and _is_reference(key, one) for one in values)


def _is_reference(key: str, value: str) -> bool:
    """Whether a value is the path, URL or id of an image, as opposed to a text about one."""
    if is_data_uri(value):
        return True
    suffix = PurePosixPath(re.split("[?#]", value)[0]).suffix.lower()
    signs = (suffix in image_suffixes(), IMAGE.search(key) is not None, not re.search(r"\s", value))
    return sum(signs) >= 2


def _is_labeled(mention: Any) -> bool:
    """Whether a mention is that of an entity; those of a tweet have a name of a user."""
    return isinstance(mention, Mapping) and bool(mention.keys() & {"label", "type"})


def _is_named_annotation(key: str, value: Any) -> bool:
    """Whether the name of a key is one of annotation, and its value may be."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    found = ANNOTATION.search(name)
    if not found or name in OTHER_NAMES or not value or not isinstance(value, list | Mapping):
        return False
    return "tag" not in found[0] or any(isinstance(one, list | Mapping) for one in value)


def jq_step(key: str) -> str:
    """Return the step to a key in a path of jq."""
    return f".{key}" if key.isidentifier() and key.isascii() else f".[{json.dumps(key)}]"


def _is_list_of_tags(value: Any, n_tokens: int | None) -> bool:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not words:
        return False
    if all(isinstance(word, str) for word in words):
        tags = [parse_tag(word) for word in words]
        if len(tags) > 1 and None not in tags and any(tag and tag.label for tag in tags):
            return True
    return (
        isinstance(value, list)
        and len(value) == n_tokens
        and (all(type(one) is int for one in value) or all(isinstance(one, str) for one in value))
    )


def _path_of_spans(value: Any, path: str) -> str | None:
    """Return the path of the first list with an item that has two positions and a string."""
    if isinstance(value, list):
        return (
            path if any(isinstance(one, list | dict) and _is_span(one) for one in value) else None
        )
    if not isinstance(value, Mapping) or is_tweet_entities(value):
        return None
    inner = (
        _path_of_spans(one, path + jq_step(str(key)))
        for key, one in value.items()
        if key not in METADATA
    )
    return next((found for found in inner if found is not None), None)


def _is_span(value: list[Any] | Mapping[str, Any]) -> bool:
    leaves = list(_leaves(value, isinstance(value, list)))
    positions = sum(type(one) is int and one >= 0 for one in leaves)
    return positions >= 2 and any(isinstance(one, str) and one for one in leaves)


def _leaves(value: Any, is_position: bool) -> Iterator[Any]:
    """Yield the strings of a value, and the integers that may be positions."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in METADATA - {"text"} and not is_tweet_entities(inner):
                is_named = bool(POSITION.search(str(key)))
                yield from _leaves(inner, is_named or (is_position and isinstance(inner, list)))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, is_position)
    elif isinstance(value, str) or is_position:
        yield value
