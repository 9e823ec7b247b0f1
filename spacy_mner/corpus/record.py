"""One post as a JSON object with Prodigy's keys: what every JSON format comes down to.

`{"id", "text", "image", "spans": [{"start", "end", "label"}]}`; optional `tokens`
(`[{"text", "start", "end"}]`) are gold and stay as they are, optional `image_features` holds a
descriptor, optional `missing` (`[{"start", "end"}]`) the stretches that nobody has annotated.
`image` is one reference or a list of them; a data URI becomes bytes. A post without `spans` is
not annotated, one with `spans: []` has no entities; `entities`, which `spacy-mner annotate` writes,
are read where there are no `spans`. Optional `image_objects` holds the objects in
the image (labels, or objects with `label` and perhaps `score`, `box` and `vector`), optional
`image_text` text about it, such as a caption.

Of Prodigy's other keys, `answer` and `_view_id` are read and written; hashes, sessions and
timestamps are left behind, since Prodigy makes them anew for tasks without.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import ImageError
from ..images.image_objects import read_objects, write_objects
from ..utils.text import brief
from .image_lookup import image_to_json
from .posts import POST_ID, Labels, Post, missing_tokens
from .problems import Problem
from .spans import (
    CharSpan,
    Offsets,
    align,
    cut_at,
    token_offsets,
    touched,
    trim,
    without_overlaps,
    words_and_spaces,
)

DATA_URI = "data:"

# Marks tokens without a text, as in CoNLL: the text is the tokens joined by spaces.
UNKNOWN_SPACES = "has_unknown_spaces"

# How Prodigy shows a task: in the first, an annotator says yes or no to single spans.
BINARY_VIEW = "ner"
MANUAL_VIEW = "ner_manual"

# Where Prodigy's other interfaces keep what an annotator said, and what it is.
OTHER_ANNOTATION = {
    "relations": "relations",
    "arcs": "dependencies",
    "accept": "choices",
    "label": "a label of the whole post",
    "audio_spans": "stretches of sound",
    "user_input": "free text",
}

T = TypeVar("T")


def read_posts(
    items: Iterable[tuple[int, T]],
    to_record: Callable[[T, int], Any],
    *,
    noun: str,
    nlp: Language,
    labels: Labels,
    report: Callable[[Problem], None],
) -> Iterator[Post]:
    """Read posts from whatever can be turned into records, each with its number in the input.

    to_record: gives the record of an item; ValueError says what is wrong with it.
    noun: what an item is called, for messages.
    nlp: its tokenizer serves posts that bring no tokens; a token is split where a span begins
        or ends inside it.
    report: is told of every item and every span that could not be taken as it stands. Posts
        that an annotator did not accept (`"answer": "reject"`) are among them.
    """
    for number, item in items:
        try:
            post = _RecordReader(to_record(item, number), number, report).read(nlp, labels)
        except (ValueError, RecursionError) as error:
            report(Problem(number, f"{error}; {noun} left out"))
            continue
        if post.words:
            yield post
        else:
            report(Problem(number, f"no text; {noun} left out"))


class _RecordReader:
    """Reads one JSON object; ValueError says what is wrong with it."""

    def __init__(self, record: Any, line: int, report: Callable[[Problem], None]) -> None:
        if not isinstance(record, dict):
            raise ValueError("not a JSON object")
        if not isinstance(record.get("text"), str):
            raise ValueError('no "text"')
        answer = record.get("answer", "accept")
        if answer != "accept":
            raise ValueError(f'the annotator\'s answer is "{answer}"')
        self.record = record
        self.text: str = record["text"]
        self.line = line
        self.report = report

    def read(self, nlp: Language, labels: Labels) -> Post:
        self._report_other_annotation()
        # What a pipeline found is annotation where an annotator has left none.
        key = "entities" if self.record.get("spans") is None else "spans"
        spans = self._spans(key, labels)
        missing = self._missing()
        if self.record.get("tokens") is not None:
            offsets = self._gold_offsets()
        else:
            spans = spans and self._trimmed(spans)
            offsets = cut_at(self._offsets(nlp), [*(spans or []), *missing])
        words, spaces = words_and_spaces(self.text, offsets)
        unknown_spaces = self.record.get(UNKNOWN_SPACES) is True and all(spaces[:-1])
        post = Post(words, None if unknown_spaces else spaces, line=self.line, id=self._id())
        if spans is not None:
            tokens = token_offsets(words, spaces)
            entities, unknown = align(without_overlaps(spans, self._refuse), tokens, self._refuse)
            post.entities = entities
            post.missing = self._unannotated(tokens, missing, unknown, entities)
        post.image = self._image()
        post.image_features = self._features()
        post.image_objects = self._objects()
        post.image_text = self._image_text()
        return post

    def _spans(self, key: str, labels: Labels | None = None) -> list[CharSpan] | None:
        given = self.record.get(key)
        if given is None:
            return None
        if not isinstance(given, list):
            raise ValueError(f'"{key}" is not a list')
        regions = [span for span in given if _is_on_image(span)]
        if regions and len(regions) == len(given):
            return None  # Of the text, nothing was said.
        return [self._span(span, labels) for span in given if not _is_on_image(span)]

    def _missing(self) -> list[CharSpan]:
        if self.record.get("_view_id") != BINARY_VIEW:
            return self._spans("missing") or []
        self._tell("a yes-or-no answer: all but its spans is missing annotation")
        return [CharSpan(0, len(self.text), "")]

    def _report_other_annotation(self) -> None:
        """Say what else an annotator has said that a post cannot hold."""
        found = [name for key, name in OTHER_ANNOTATION.items() if self.record.get(key)]
        spans = self.record.get("spans")
        if isinstance(spans, list) and any(map(_is_on_image, spans)):
            found.append("regions of the image")
        if found:
            self._tell(f"{', '.join(found)}: left out")

    def _span(self, span: Any, labels: Labels | None) -> CharSpan:
        if not isinstance(span, dict):
            raise ValueError(f"span {brief(span)} is not an object")
        start, end = span.get("start"), span.get("end")
        if type(start) is not int or type(end) is not int:
            raise ValueError(f"span {brief(span)} has no whole numbers for start and end")
        if not 0 <= start < end <= len(self.text):
            raise ValueError(
                f"span {start}–{end} is not in the text of {len(self.text)} characters"
            )
        if labels is None:
            return CharSpan(start, end, "")
        label = span.get("label")
        if not isinstance(label, str) or not label:
            raise ValueError(f"span {start}–{end} has no label")
        return CharSpan(start, end, labels(label))

    def _trimmed(self, spans: list[CharSpan]) -> list[CharSpan]:
        kept = []
        for span in spans:
            shorter = trim(self.text, span)
            if shorter.start == shorter.end:
                self._refuse(span, "is nothing but white space; left out")
                continue
            if shorter != span:
                self._refuse(span, "has white space at its ends; shortened")
            kept.append(shorter)
        return kept

    def _refuse(self, span: CharSpan, reason: str) -> None:
        covered = brief(self.text[span.start : span.end])
        name = f"span {span.start}–{span.end} {covered} ({span.label})"
        self._tell(f"{name} {reason}")

    def _tell(self, reason: str) -> None:
        self.report(Problem(self.line, reason))

    def _offsets(self, nlp: Language) -> list[Offsets]:
        return [(token.idx, token.idx + len(token)) for token in nlp.make_doc(self.text)]

    def _gold_offsets(self) -> list[Offsets]:
        tokens = self.record["tokens"]
        if not isinstance(tokens, list):
            raise ValueError('"tokens" is not a list')
        offsets = []
        at = 0
        for token in tokens:
            span = self._span(token, None)
            if span.start < at:
                raise ValueError(f"token {span.start}–{span.end} overlaps the one before it")
            written = token.get("text")
            if written is not None and written != self.text[span.start : span.end]:
                raise ValueError(
                    f"token {brief(written)} is not what stands at {span.start}–{span.end}"
                )
            at = span.end
            offsets.append((span.start, span.end))
        return offsets

    @staticmethod
    def _unannotated(
        tokens: list[Offsets], missing: list[CharSpan], unknown: list[int], entities: list
    ) -> list[int]:
        stretches = {i for span in missing for i in touched(tokens, span)}
        covered = {i for start, end, _ in entities for i in range(start, end)}
        return sorted((stretches | set(unknown)) - covered)

    def _id(self) -> str | None:
        given = self.record.get("id")
        return None if given is None else str(given)

    def _image(self) -> Any:
        given = self.record.get("image")
        if given is None or isinstance(given, str):
            return _read_reference(given) if given else None
        if isinstance(given, list) and all(isinstance(one, str) for one in given):
            return [_read_reference(one) for one in given] or None
        raise ValueError('"image" is neither a reference nor a list of references')

    def _image_text(self) -> str | None:
        given = self.record.get("image_text")
        if given is not None and not isinstance(given, str):
            raise ValueError('"image_text" is not a string')
        return given

    def _features(self) -> Any:
        given = self.record.get("image_features")
        return None if given is None else as_descriptor(given)

    def _objects(self) -> Any:
        given = self.record.get("image_objects")
        return None if given is None else as_objects(given)


def as_descriptor(given: Any) -> np.ndarray:
    """Numbers as a descriptor, float32 [dim] or [regions, dim]; ValueError for anything else."""
    try:
        features = np.asarray(given)
    except Exception:  # rows of different lengths; what makes numbers of itself, such as an image
        features = np.empty(0)
    if features.ndim not in (1, 2) or features.size == 0 or features.dtype.kind not in "iuf":
        raise ValueError('"image_features" is neither [dim] nor [regions, dim] of numbers')
    if not np.isfinite(features).all():
        raise ValueError('"image_features" holds values that are not finite numbers')
    return features.astype("float32")


def as_objects(given: Any) -> list[Any]:
    """The objects in an image as JSON knows them; ValueError for what are none."""
    try:
        return write_objects(read_objects(given))
    except ImageError as error:
        raise ValueError(str(error)) from error


def _is_on_image(span: Any) -> bool:
    return isinstance(span, dict) and "points" in span


def _read_reference(reference: str) -> Any:
    if not reference.startswith(DATA_URI):
        return reference
    header, comma, data = reference.partition(",")
    if not comma or not header.endswith(";base64"):
        raise ValueError('"image" is a data URI without base64 data')
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f'"image" is a damaged data URI ({error})') from error


def doc_to_record(doc: Doc) -> dict[str, Any]:
    """Write a Doc as one record; `read_posts` reads the same post back."""
    text = doc.text
    if doc.has_unknown_spaces and text.endswith(" "):
        text = text[:-1]
    record: dict[str, Any] = {"text": text}
    if doc.has_unknown_spaces:
        record[UNKNOWN_SPACES] = True
    if doc.user_data.get(POST_ID) is not None:
        record["id"] = str(doc.user_data[POST_ID])
    record["image"] = image_to_json(doc._.image)
    if doc._.image_features is not None:
        record["image_features"] = np.asarray(doc._.image_features).tolist()
    if doc._.image_objects is not None:
        record["image_objects"] = as_objects(doc._.image_objects)
    if doc._.image_text is not None:
        record["image_text"] = doc._.image_text
    record["tokens"] = [_token_to_json(token, len(text)) for token in doc]
    if doc.has_annotation("ENT_IOB"):
        record["spans"] = [_span_to_json(entity) for entity in doc.ents]
        missing = missing_tokens(doc)
        if missing:
            record["missing"] = [
                {"start": doc[i].idx, "end": doc[i].idx + len(doc[i])} for i in missing
            ]
        record |= {"answer": "accept", "_view_id": MANUAL_VIEW}
    return record


def _token_to_json(token: Any, text_length: int) -> dict[str, Any]:
    end = token.idx + len(token)
    space = bool(token.whitespace_) and end < text_length
    return {"text": token.text, "start": token.idx, "end": end, "id": token.i, "ws": space}


def _span_to_json(entity: Any) -> dict[str, Any]:
    return {
        "start": entity.start_char,
        "end": entity.end_char,
        "token_start": entity.start,
        "token_end": entity.end - 1,
        "label": entity.label_,
    }
