"""One post as a JSON object with Prodigy's keys, which all JSON formats are converted to.

`{"id", "text", "image", "spans": [{"start", "end", "label"}]}`. A post without `spans` is not
annotated, one with `spans: []` has no entities. Optional keys:

- `text` of a span: its offsets are those at which it is found; see `offsets`.
- `tokens` (`[{"text", "start", "end"}]`): gold tokens, never split; `has_unknown_spaces` if the
  text is only these tokens joined by spaces.
- `missing` (`[{"start", "end"}]`): parts of the text with missing annotation.
- `image`: a reference or a list of them; a data URI is decoded to bytes.
- `image_features`, `image_objects`, `image_text`, `annotated_labels`: as the Doc attributes of
  these names.

Of Prodigy's other keys, `answer` and `_view_id` are read and written; hashes, sessions and
timestamps are not, because Prodigy computes them for tasks that lack them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from spacy.tokens import Doc

from ..errors import ImageError, UsageError
from ..extensions import POST_ID, image_as_png
from ..images.data_uris import decode_data_uri, encode_data_uri, is_data_uri
from ..images.image_objects import read_objects, write_objects
from ..utils.text import short_repr
from .offsets import character_offsets, mismatch, misplaced
from .posts import ReadContext, make_doc, missing_tokens
from .spans import (
    CharSpan,
    Offsets,
    align,
    split_at,
    token_offsets,
    trim,
    without_overlaps,
    words_and_spaces,
)

UNKNOWN_SPACES = "has_unknown_spaces"

# Prodigy's interfaces: in the first, an annotator accepts or rejects single spans.
BINARY_VIEW = "ner"
MANUAL_VIEW = "ner_manual"

# Keys of Prodigy's other interfaces, and what they hold.
OTHER_ANNOTATION = {
    "relations": "relations",
    "arcs": "dependencies",
    "accept": "choices",
    "label": "a label of the whole post",
    "cats": "a label of the whole post",
    "prediction": "predictions",
    "predictions": "predictions",
    "audio_spans": "audio spans",
    "user_input": "free text",
}

T = TypeVar("T")


def parse_records(
    items: Iterable[tuple[int, T]],
    to_record: Callable[[T, int], dict[str, Any]],
    unit: str,
    context: ReadContext,
) -> Iterator[Doc]:
    """Parse posts from numbered items of a file.

    to_record: converts an item to a record; raises ValueError for an invalid one.
    unit: name of an item in messages.

    A token is split where a span begins or ends inside it, unless the record has tokens. Invalid
    records, and those that an annotator did not accept (`"answer": "reject"`), are reported.
    Raises CorpusError for a file whose spans are wrong as a whole; see `ReadContext.check_spans`.
    """
    for number, item in items:
        try:
            yield _RecordParser(to_record(item, number), number, context).parse()
        except UsageError:
            raise
        except (ValueError, RecursionError) as error:
            context.report(number, f"{error}; {unit} left out")
    context.check_spans()


class _RecordParser:
    """Parses one JSON object; raises ValueError for an invalid one."""

    def __init__(self, record: dict[str, Any], line: int, context: ReadContext) -> None:
        answer = record.get("answer", "accept")
        if answer != "accept":
            raise ValueError(f'the annotator\'s answer is "{answer}"')
        self.record = record
        self.text: str = record["text"]
        self.context = context
        self._report = functools.partial(context.report, line)

    def parse(self) -> Doc:
        self._report_other_annotation()
        spans, missing = self._labeled_spans()
        if self.record.get("tokens") is not None:
            offsets = self._gold_tokens()
        else:
            spans = spans and self._trimmed(spans)
            tokens = [(t.idx, t.idx + len(t)) for t in self.context.nlp.make_doc(self.text)]
            offsets = split_at(tokens, [*(spans or []), *missing])
        words, spaces = words_and_spaces(self.text, offsets)
        if not words:
            raise ValueError("no text")
        is_unknown = self.record.get(UNKNOWN_SPACES) is True and all(spaces[:-1])
        kept = without_overlaps(spans or [], self._report_span)
        offsets = token_offsets(words, spaces)
        entities, unknown = align(kept, offsets, self._report_span, missing)
        id_, features, objects, image_text = map(
            self.record.get, ("id", "image_features", "image_objects", "image_text")
        )
        if not isinstance(image_text, str | None):
            raise ValueError('"image_text" is not a string')
        return make_doc(
            self.context,
            words,
            None if is_unknown else spaces,
            None if spans is None else entities,
            unknown,
            None if id_ is None else str(id_),
            image=_parse_image(self.record.get("image")),
            image_features=None if features is None else as_descriptor(features),
            image_objects=None if objects is None else as_objects(objects),
            image_text=image_text,
            annotated_labels=self._annotated_labels(),
        )

    def _labeled_spans(self) -> tuple[list[CharSpan] | None, list[CharSpan]]:
        """Return the spans, None if the post is not annotated, and where annotation is missing."""
        missing, value = self._missing(), self._list("spans")
        values = [span for span in value or [] if not is_image_region(span)]
        if value is None or (value and not values):
            return None, missing
        exported = [(*_integers(one), one.get("text")) for one in values]
        has_text = any(text is not None for *_, text in exported)
        places = character_offsets(
            self.text, exported, self._report if has_text else lambda _: None
        )
        if None in places:
            missing.append(CharSpan(0, len(self.text), ""))
        labels = [_label(one) for one in values]
        found = [(*place, name) for place, name in zip(places, labels, strict=True) if place]
        if self.record.get("tokens") is None and not has_text:
            self.context.offset_check.update(self.text, [one[:2] for one in exported])
        return [CharSpan(*one) for one in self.context.relabel(found)], missing

    def _annotated_labels(self) -> list[str] | None:
        labels = self._list("annotated_labels")
        if not all(isinstance(label, str) for label in labels or ()):
            raise ValueError('"annotated_labels" is not a list of strings')
        return None if labels is None else self.context.rename_annotated(labels)

    def _missing(self) -> list[CharSpan]:
        if self.record.get("_view_id") != BINARY_VIEW:
            return [self._span(one) for one in self._list("missing") or []]
        self._report("a yes-or-no answer: annotation outside its spans is missing")
        return [CharSpan(0, len(self.text), "")]

    def _list(self, key: str) -> list[Any] | None:
        value = self.record.get(key)
        if not isinstance(value, list | None):
            raise ValueError(f'"{key}" is not a list')
        return value

    def _span(self, span: Any) -> CharSpan:
        start, end = _integers(span)
        if not 0 <= start < end <= len(self.text):
            raise ValueError(misplaced(start, end, self.text))
        return CharSpan(start, end, "")

    def _trimmed(self, spans: list[CharSpan]) -> list[CharSpan]:
        kept = []
        for span in spans:
            trimmed = trim(self.text, span)
            if trimmed.start == trimmed.end:
                self._report_span(span, "is only white space; left out")
                continue
            if trimmed != span:
                self._report_span(span, "begins or ends with white space; trimmed")
            kept.append(trimmed)
        return kept

    def _gold_tokens(self) -> list[Offsets]:
        offsets: list[Offsets] = []
        for token in self._list("tokens") or []:
            span = self._span(token)
            name = f"token {span.start}–{span.end}"
            if offsets and span.start < offsets[-1][1]:
                raise ValueError(f"{name} overlaps the one before it")
            value, covered = token.get("text"), self.text[span.start : span.end]
            if value not in (None, covered):
                raise ValueError(mismatch(name, value, covered))
            offsets.append((span.start, span.end))
        return offsets

    def _report_other_annotation(self) -> None:
        """Report annotation that a Doc does not hold."""
        spans = self.record.get("spans")
        names = (name for key, name in OTHER_ANNOTATION.items() if self.record.get(key))
        # The keys of posts without annotation are reported once; see `ReadContext.unread_keys`.
        found = [] if spans is None else [*dict.fromkeys(names)]
        if isinstance(spans, list) and any(map(is_image_region, spans)):
            found.append("regions of the image")
        if found:
            self._report(f"{', '.join(found)}: left out")

    def _report_span(self, span: CharSpan, reason: str) -> None:
        covered = short_repr(self.text[span.start : span.end])
        self._report(f"span {span.start}–{span.end} {covered} ({span.label}) {reason}")


def as_descriptor(value: Any) -> np.ndarray:
    """Convert to a descriptor, float32 [dim] or [regions, dim]. Raises ValueError."""
    try:
        features = np.asarray(value)
    except Exception:  # ragged rows, or an object whose conversion fails
        features = np.empty(0)
    if features.ndim not in (1, 2) or features.size == 0 or features.dtype.kind not in "iuf":
        raise ValueError('"image_features" is not an array of numbers [dim] or [regions, dim]')
    if not np.isfinite(features).all():
        raise ValueError('"image_features" has non-finite values')
    return features.astype("float32")


def as_objects(value: Any) -> list[Any]:
    """Convert the objects in an image to JSON. Raises ValueError."""
    try:
        return write_objects(read_objects(value))
    except ImageError as error:
        raise ValueError(str(error)) from error


def _integers(span: Any) -> Offsets:
    if not isinstance(span, dict):
        raise ValueError(f"span {short_repr(span)} is not an object")
    start, end = span.get("start"), span.get("end")
    if type(start) is not int or type(end) is not int:
        remedy = ": convert strings with tonumber of jq" if isinstance(start, str) else ""
        raise ValueError(f"span {short_repr(span)} has no integer start and end{remedy}")
    return start, end


def _label(span: Mapping[str, Any]) -> str:
    label = span.get("label")
    if not isinstance(label, str) or not label:
        raise ValueError(f"span {short_repr(dict(span))} has no label")
    return label


def is_image_region(span: Any) -> bool:
    # Corners of the region; text annotators have spans under this key.
    points = span.get("points") if isinstance(span, dict) else None
    return isinstance(points, list) and not any(isinstance(one, dict) for one in points)


def _parse_image(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return _parse_reference(value) if value else None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [_parse_reference(one) for one in value] or None
    raise ValueError('"image" is neither a reference nor a list of references')


def _parse_reference(reference: str) -> Any:
    if not is_data_uri(reference):
        return reference
    try:
        return decode_data_uri(reference)
    except ImageError as error:
        raise ValueError(f'"image" is {error}') from error


def doc_to_record(doc: Doc) -> dict[str, Any]:
    """Convert a Doc to a record, from which `parse_records` restores it."""
    text = doc.text
    if doc.has_unknown_spaces and text.endswith(" "):
        text = text[:-1]
    record: dict[str, Any] = {"text": text}
    if doc.has_unknown_spaces:
        record[UNKNOWN_SPACES] = True
    if doc.user_data.get(POST_ID) is not None:
        record["id"] = str(doc.user_data[POST_ID])
    record["image"] = _image_to_json(doc._.image)
    if doc._.image_features is not None:
        record["image_features"] = np.asarray(doc._.image_features).tolist()
    if doc._.image_objects is not None:
        record["image_objects"] = as_objects(doc._.image_objects)
    if doc._.image_text is not None:
        record["image_text"] = doc._.image_text
    if doc._.annotated_labels is not None:
        record["annotated_labels"] = list(doc._.annotated_labels)
    record["tokens"] = [
        {
            "text": token.text,
            "start": token.idx,
            "end": token.idx + len(token),
            "id": token.i,
            "ws": bool(token.whitespace_) and token.idx + len(token) < len(text),
        }
        for token in doc
    ]
    if doc.has_annotation("ENT_IOB"):
        record["spans"] = [
            {
                "start": entity.start_char,
                "end": entity.end_char,
                "token_start": entity.start,
                "token_end": entity.end - 1,
                "label": entity.label_,
            }
            for entity in doc.ents
        ]
        missing = [doc[i] for i in missing_tokens(doc)]
        if missing:
            record["missing"] = [{"start": t.idx, "end": t.idx + len(t)} for t in missing]
        record |= {"answer": "accept", "_view_id": MANUAL_VIEW}
    return record


def _image_to_json(image: Any) -> Any:
    """Convert `doc._.image` to JSON: paths are unchanged, anything else becomes a data URI."""
    if image is None or isinstance(image, str):
        return image
    if isinstance(image, Path):
        return str(image)
    if isinstance(image, list | tuple):
        return [_image_to_json(one) for one in image if one is not None]
    is_file = isinstance(image, bytes | bytearray | memoryview)
    return encode_data_uri(bytes(image) if is_file else image_as_png(image))
