"""JSON objects of other tools, converted to records; see `record`.

Read, under the keys of the tables below: spans of characters as objects or lists (spaCy's
`Doc.to_json` and training data, Doccano, Argilla, pipelines of Hugging Face and others), tags of
tokens (data sets of Hugging Face), and spans of tokens (GLiNER). An object with annotation under
another key, or with differing annotation under two keys, is refused: it must not become a post
without entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..extensions import DOC_ATTRIBUTES
from ..utils.text import first_items, short_repr
from .posts import ReadContext
from .record import UNKNOWN_SPACES, is_image_region
from .spans import Offsets, token_offsets
from .tags import BIO, Scheme, Tag, parse_tag
from .unread_annotation import find_unread, find_unread_image, is_tweet_entities, jq_step
from .without_text import explain_no_text

# Keys of the same meaning; the first that has a value counts.
TEXT_KEYS = ("text", "full_text", "data")
IMAGE_KEYS = ("image", "image_path")
GLINER_WORDS = "tokenized_text"
WORD_KEYS = ("tokens", "words", GLINER_WORDS, "text")
# fmt: off
START_KEYS = (
    "start", "start_offset", "startOffset", "start_char", "begin", "beginOffset", "begin_offset",
    "BeginOffset", "offset",
)
END_KEYS = ("end", "end_offset", "endOffset", "end_char", "EndOffset", "stop")
LABEL_KEYS = (
    "label", "labels", "entity_group", "entity_type", "entity", "type", "Type", "category", "tag",
    "displayName", "display_name",
)
# fmt: on
SPAN_TEXT_KEYS = ("text", "word", "value", "surface", "mention", "Text")
READ_SPAN_KEYS = {*START_KEYS, *END_KEYS, *LABEL_KEYS, *SPAN_TEXT_KEYS, "length"}

# Keys of tags of tokens; an empty list has no tags.
TAG_KEYS = ("ner_tags", "labels", "label")
# Keys of annotation. The general ones have other values as well, such as a label of the post.
GENERAL_KEYS = ("label", "labels", "annotation", "tags")
ANNOTATION_KEYS = ("spans", "ents", "ner_tags", "ner", "annotations", *GENERAL_KEYS, "entities")

# Keys that are read without annotation as well.
READ_KEYS = {*TEXT_KEYS, *IMAGE_KEYS, *WORD_KEYS, "id", *DOC_ATTRIBUTES}

# Finds tags of tokens in a line of JSON.
TAG_LIST = re.compile(rf'"(?:{"|".join(ANNOTATION_KEYS)})"\s*:\s*\[\s*["\d]')

# An identifier in a knowledge base, as in spaCy's training data: [start, end, label, id].
KNOWLEDGE_BASE_ID = re.compile(r"[A-Z]?\d+")

Json = Mapping[str, Any]
Spans = list[dict[str, Any]]


class LayoutConverter:
    """Converts the objects of a file to records.

    scheme: of the tags of the file, detected from `tags_of` its objects.
    """

    def __init__(self, context: ReadContext, scheme: Scheme = BIO) -> None:
        self.context = context
        self.scheme = scheme

    def __call__(self, item: Any) -> dict[str, Any]:
        """Convert an object. Raises ValueError for one that cannot be read with certainty."""
        item = _as_object(item)
        text, tokens = _text_and_tokens(item)
        record = {key: value for key, value in item.items() if key not in ANNOTATION_KEYS}
        record |= {"text": text, "image": self._image(item)}
        if _words(item) is not None:
            record["tokens"] = [{"start": start, "end": end} for start, end in tokens or []]
            record[UNKNOWN_SPACES] = _text(item) is None
        keys = ("ner",) if GLINER_WORDS in item else ANNOTATION_KEYS
        found = {key: self._annotation(item, key, tokens) for key in keys}
        read = {key: spans for key, spans in found.items() if spans is not None}
        if not any(read.values()):
            n_tokens = None if read or tokens is None else len(tokens)
            unread = find_unread(item, {*read, *WORD_KEYS}, n_tokens, "ner_tags" in read)
            if unread is not None:
                raise ValueError(str(unread))
        if not read:
            found_keys = (key for key, value in item.items() if value is not None)
            self.context.unread_keys.update({*found_keys} - READ_KEYS)
        others = [key for key in GENERAL_KEYS[:3] if key in keys and key not in read]
        record["label"] = _first(item, others)
        return record | {"spans": _only_one(read, item)}

    def _image(self, item: Json) -> Any:
        """Return the image of a post, and count those that have none but were meant to."""
        image = _image(item)
        self.context.empty_images += image == ""
        if image is None and (key := find_unread_image(item, READ_KEYS)) is not None:
            self.context.unread_images[key] += 1
        return image

    def _annotation(self, item: Json, key: str, tokens: list[Offsets] | None) -> Spans | None:
        """Return the spans under a key; None if it holds no annotation of spans."""
        value = item.get(key)
        if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
            raise ValueError(f"\"{key}\" is JSON in a string: jq -c '{jq_step(key)} |= fromjson'")
        if value is None or _is_of_another_kind(item, key, value):
            return None
        if not isinstance(value, list):
            raise ValueError(f'"{key}" is not a list of spans')
        if GLINER_WORDS in item:
            return list(_token_spans(value, tokens or []))
        if not value and (key not in TAG_KEYS or _words(item) is None):
            return []
        if _is_flat(value):
            if value and key in GENERAL_KEYS and not _is_tags(value, tokens):
                return None
            return self._tagged(key, value, tokens)
        if _words(item) is not None and _text(item) is None:
            raise ValueError(
                f'"{key}" has spans of a post without text: it is unknown whether they count '
                'characters or tokens. Add "text", or write the tag of each token to "ner_tags"'
            )
        return [span for one in value for span in _char_spans(key, one, _text(item) or "")]

    def _tagged(self, key: str, values: list[Any], tokens: list[Offsets] | None) -> Spans:
        if tokens is None:
            raise ValueError(f'"{key}" has strings or numbers, but the post has no "tokens"')
        if len(values) != len(tokens):
            raise ValueError(f'"{key}" has {len(values)} tags for {len(tokens)} tokens')
        entities = self.context.read_tags(_parse_tags(values, self.context.tag_names), self.scheme)
        return [
            {"start": tokens[start][0], "end": tokens[end - 1][1], "label": label}
            for start, end, label in entities
        ]


def _char_spans(key: str, value: Any, post: str) -> Iterator[dict[str, Any]]:
    """Yield a span of characters with the keys of a record, once per label.

    post: the text of the post.
    """
    if is_image_region(value):
        yield value
        return
    text = None
    match [_as_integer(one) for one in value] if isinstance(value, list) else value:
        case [int() as start, int() as end, *labels]:
            labels = [one for one in labels if one != "" and isinstance(one, str | int | list)]
        case [str() as first, int() as start, int() as end, *labels]:
            labels = [first, *(one for one in labels if one and isinstance(one, str))]
        case {}:
            start, end, text = (
                _first(value, keys) for keys in (START_KEYS, END_KEYS, SPAN_TEXT_KEYS)
            )
            if start is None:
                raise ValueError(f'"{key}" has {short_repr(value)}, a span without a start')
            start, end = _as_integer(start), _as_integer(end)
            if end is None and type(start) is type(value.get("length")) is int:
                end = start + value["length"]
            labels = [value[name] for name in LABEL_KEYS if value.get(name) is not None]
        case _:
            raise ValueError(f'"{key}" has {short_repr(value)}, which is not a span')
    if type(start) is type(end) is int:
        labels = [label for label in labels if label != post[start:end]]
        if not labels:
            unread = sorted(value.keys() - READ_SPAN_KEYS) if isinstance(value, dict) else []
            names = ", ".join(map(short_repr, first_items(unread)))
            hint = f"; its keys that are not read: {names}" if names else ""
            raise ValueError(f'"{key}" has {short_repr(value)}, a span without a label{hint}')
    if isinstance(value, list) and not all(KNOWLEDGE_BASE_ID.fullmatch(str(x)) for x in labels[1:]):
        raise ValueError(f'"{key}" has {short_repr(value)}, of which the label is unclear')
    label = labels[0] if labels else None
    step = "[2]" if isinstance(value, list) else ".label"
    for one in label if isinstance(label, list) else [label]:
        if type(one) is int:
            raise ValueError(
                f'"{key}" has the number {one} as the label of a span, such as an id of a '
                f"""database: write the names of labels (jq -c '{jq_step(key)}[]{step} |= """
                """{"1": "PER", "2": "LOC"}[tostring]')"""
            )
        yield {"start": start, "end": end, "label": one, "text": text}


def _as_integer(value: Any) -> Any:
    """Convert a float such as 5.0, as pandas writes integers beside missing values."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tags_of(items: Iterable[Any], tag_names: Sequence[str] | None) -> Iterator[list[Tag | None]]:
    """Yield the tags of each object that has valid ones, for `detect_scheme`."""
    for item in items:
        try:
            item = _as_object(item)
            _, tokens = _text_and_tokens(item)
            for key in ANNOTATION_KEYS:
                value = item.get(key)
                if isinstance(value, list) and _is_tags(value, tokens):
                    yield _parse_tags(value, tag_names)
        except UsageError:
            raise
        except ValueError:
            continue  # reported when the object is converted


def _as_object(item: Any) -> Json:
    """Return an object; spaCy's training data has pairs of a text and its annotation."""
    match item:
        case [str() as text, dict() as annotation]:
            return {"text": text, **annotation}
        case dict():
            return item
    raise ValueError("not a JSON object")


def _is_post(item: Any) -> bool:
    """Whether an item is a post; an entity may have a text as well."""
    try:
        item = _as_object(item)
        return bool(_text_and_tokens(item)) and _first(item, (*START_KEYS, *LABEL_KEYS[2:])) is None
    except ValueError:
        return False


def _first(item: Json, keys: Iterable[str]) -> Any:
    return next((item[key] for key in keys if item.get(key) is not None), None)


def _text(item: Json) -> str | None:
    return next((item[key] for key in TEXT_KEYS if isinstance(item.get(key), str)), None)


def _image(item: Json) -> Any:
    image = _first(item, IMAGE_KEYS)
    # Data sets of Hugging Face have the bytes of an image, or its path.
    return image.get("path") if isinstance(image, dict) and not image.get("bytes") else image


def _words(item: Json) -> list[str] | None:
    """Return the gold tokens, if they are strings; texts with white space are no tokens."""
    for key in WORD_KEYS:
        words = item.get(key)
        if words and isinstance(words, list) and all(isinstance(word, str) for word in words):
            return None if key == "text" and any(len(one.split()) > 1 for one in words) else words
    return None


def _text_and_tokens(item: Json) -> tuple[str, list[Offsets] | None]:
    """Return the text and the gold tokens, joined by spaces if there is no text."""
    text, words = _text(item), _words(item)
    if words is not None:
        if not all(words):
            raise ValueError(f"token {words.index('') + 1} is empty")
        if text is None:
            return " ".join(words), token_offsets(words, [True] * len(words))
        return text, list(_locate(words, text))
    if text is None:
        raise ValueError(explain_no_text(item, _is_post, WORD_KEYS))
    match item.get("tokens"):
        case [*tokens] if all(isinstance(one, dict) for one in tokens):
            return text, [(one.get("start"), one.get("end")) for one in tokens]
    return text, None


def _locate(words: Iterable[str], text: str) -> Iterator[Offsets]:
    position = 0
    for word in [*words, ""]:
        start = text.find(word, position) if word else len(text)
        if start < 0 or text[position:start].strip():
            raise ValueError(
                f"the tokens and the text differ after character {position}; delete one of them"
            )
        position = start + len(word)
        if word:
            yield start, position


def _is_of_another_kind(item: Json, key: str, value: Any) -> bool:
    """Whether a value is not meant as a list of spans or tags, although its key is one of them."""
    if key == "entities":
        return is_tweet_entities(value)
    if key == "spans" and isinstance(value, Mapping) and value:
        # Groups of spans beside the entities, as of spaCy's SpanCategorizer.
        return item.get("ents") is not None or not any(value.values())
    if key == "tags" and isinstance(value, list) and value:
        return isinstance(value[0], dict) and _first(value[0], START_KEYS) is None
    return key == "tags" or (key in GENERAL_KEYS and isinstance(value, str | int | float))


def _is_flat(values: list[Any]) -> bool:
    return all(type(one) in (str, int) for one in values)


def _is_tags(values: list[Any], tokens: list[Offsets] | None) -> bool:
    """Whether values are tags of the tokens, as opposed to labels of the post."""
    if not tokens or len(values) != len(tokens) or not _is_flat(values):
        return False
    return any(type(one) is int or parse_tag(one) for one in values)


def _parse_tags(values: Iterable[Any], tag_names: Sequence[str] | None) -> list[Tag | None]:
    names = (_name_of(one, tag_names) if type(one) is int else one for one in values)
    return [_parse_tag(name) for name in names]


def _parse_tag(name: str) -> Tag:
    tag = parse_tag(name)
    if tag is None:
        raise ValueError(
            f"{short_repr(name)} is not a tag such as O, B-PER or I-PER: begin labels with "
            "B- and I-"
        )
    return tag


def _name_of(number: int, names: Sequence[str] | None) -> str:
    if names is None:
        raise ValueError(
            f"tag {number} is a number: name the tags in order with --labels, "
            "such as --labels O,B-PER,I-PER"
        )
    if number >= len(names):
        raise UsageError(
            f"--labels has {len(names)} names, but there is a tag {number}: name all labels in "
            "order, from that of 0."
        )
    if number < 0:
        raise ValueError(f"tag {number} is negative")
    return names[number]


def _token_spans(values: Iterable[Any], tokens: Sequence[Offsets]) -> Iterator[dict[str, Any]]:
    """Yield the spans of GLiNER: first and last token, label."""
    for value in values:
        match value:
            case [int() as first, int() as last, str() as label, *_] if (
                0 <= first <= last < len(tokens)
            ):
                yield {"start": tokens[first][0], "end": tokens[last][1], "label": label}
            case _:
                raise ValueError(
                    f"{short_repr(value)} is not first token, last token and label of one of "
                    f"{len(tokens)} tokens"
                )


def _only_one(read: Mapping[str, Spans], item: Json) -> Spans | None:
    """Return the spans of the first key. Raises ValueError if those of another key differ.

    `entities` with scores beside others are predictions, as `annotate` writes them.
    """
    if not read:
        return None
    key, *others = read
    for other in others:
        if not item[other] or (other == "entities" and all(map(_has_score, item[other]))):
            continue
        if _contents(read[key]) != _contents(read[other]):
            raise ValueError(f'"{key}" and "{other}" differ: delete one (jq -c "del(.{other})")')
    return read[key]


def _has_score(span: Any) -> bool:
    return isinstance(span, dict) and "score" in span


def _contents(spans: Spans) -> set[tuple[Any, ...]]:
    return {(one.get("start"), one.get("end"), str(one.get("label"))) for one in spans}
