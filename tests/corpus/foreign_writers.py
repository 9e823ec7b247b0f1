"""Writers of corpora as other tools export them, independent of the package's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import quote

# First token, last token + 1, label.
TokenSpan = tuple[int, int, str]


@dataclass(frozen=True)
class Post:
    """A post of tokens with a space between them. spans: None if it is not annotated."""

    words: list[str]
    spans: list[TokenSpan] | None
    images: list[str]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def char_spans(self) -> list[tuple[int, int, str]]:
        starts = [sum(len(word) + 1 for word in self.words[:i]) for i in range(len(self.words))]
        return [(starts[s], starts[e - 1] + len(self.words[e - 1]), x) for s, e, x in self.spans]


def units(text: str) -> int:
    """Return the number of UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def in_bytes(text: str) -> int:
    return len(text.encode())


def bio(start: int, end: int) -> Iterator[str]:
    return (("B" if i == start else "I") for i in range(start, end))


def bioes(start: int, end: int) -> Iterator[str]:
    return ("S" if end - start == 1 else "B" if i == start else "E" if i == end - 1 else "I"
            for i in range(start, end))  # fmt: skip


def bilou(start: int, end: int) -> Iterator[str]:
    return ({"S": "U", "E": "L"}.get(letter, letter) for letter in bioes(start, end))


def tags(post: Post, letters: Callable[[int, int], Iterable[str]]) -> list[str]:
    result = ["O"] * len(post.words)
    for start, end, label in post.spans or []:
        result[start:end] = [f"{letter}-{label}" for letter in letters(start, end)]
    return result


def iob1_tags(post: Post) -> list[str]:
    result = tags(post, bio)
    ends = {(end, label) for _, end, label in post.spans or []}
    for start, _, label in post.spans or []:
        if (start, label) not in ends:
            result[start] = f"I-{label}"
    return result


TAGGERS: dict[str, Callable[[Post], list[str]]] = {
    "BIO": lambda post: tags(post, bio),
    "IOB1": iob1_tags,
    "BIOES": lambda post: tags(post, bioes),
    "BILOU": lambda post: tags(post, bilou),
}


def image_of(post: Post) -> Any:
    return {0: None, 1: post.images[0] if post.images else None}.get(len(post.images), post.images)


def doccano(post: Post) -> Any:
    item: dict[str, Any] = {"id": 1, "text": post.text, "image": image_of(post), "Comments": []}
    return item if post.spans is None else item | {"label": [list(s) for s in post.char_spans]}


def doccano_relations(post: Post) -> Any:
    spans = [
        {"id": i, "start_offset": s, "end_offset": e, "label": x}
        for i, (s, e, x) in enumerate(post.char_spans if post.spans is not None else [])
    ]
    item = {"text": post.text, "image": image_of(post)}
    return item if post.spans is None else item | {"entities": spans, "relations": []}


def spacy_to_json(post: Post) -> Any:
    item: dict[str, Any] = {"text": post.text, "image": image_of(post), "tokens": []}
    position = 0
    for i, word in enumerate(post.words):
        item["tokens"].append({"id": i, "start": position, "end": position + len(word)})
        position += len(word) + 1
    if post.spans is not None:
        item["ents"] = [{"start": s, "end": e, "label": x} for s, e, x in post.char_spans]
    return item


def spacy_tuple(post: Post) -> Any:
    entities = {} if post.spans is None else {"entities": post.char_spans}
    return [post.text, {**entities, "image": image_of(post)}]


def hugging_face(tagger: Callable[[Post], list[str]]) -> Callable[[Post], Any]:
    def write(post: Post) -> Any:
        item = {"id": "0", "tokens": post.words, "image": image_of(post)}
        return item if post.spans is None else item | {"ner_tags": tagger(post)}

    return write


NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def integer_tags(post: Post) -> Any:
    item = hugging_face(TAGGERS["BIO"])(post)
    if post.spans is not None:
        item["ner_tags"] = [NAMES.index(tag) for tag in item["ner_tags"]]
    return item


def gliner(post: Post) -> Any:
    item = {"tokenized_text": post.words, "image": image_of(post)}
    return item if post.spans is None else item | {"ner": [[s, e - 1, x] for s, e, x in post.spans]}


def spans_with_text(length: Callable[[str], int], key: str = "spans") -> Callable[[Post], Any]:
    """Return a writer of spans with their text. length: in the unit of offsets."""

    def write(post: Post) -> Any:
        item: dict[str, Any] = {"text": post.text, "image": image_of(post)}
        if post.spans is not None:
            item[key] = [
                {
                    "start": length(post.text[:start]),
                    "end": length(post.text[:end]),
                    "text": post.text[start:end],
                    "label": label,
                }
                for start, end, label in post.char_spans
            ]
        return item

    return write


def argilla(post: Post) -> Any:
    item: dict[str, Any] = {"text": post.text, "tokens": post.words, "image": image_of(post)}
    spans = None if post.spans is None else [[x, s, e] for s, e, x in post.char_spans]
    return item | {"annotation": spans, "prediction": None, "metadata": {}, "status": "Default"}


def label_studio(length: Callable[[str], int]) -> Callable[[Post], Any]:
    def write(post: Post) -> Any:
        urls = [f"/data/local-files/?d={quote(name)}" for name in post.images]
        data = {"text": post.text, "image": urls[0]} if len(urls) == 1 else {
            "text": post.text, "images": urls
        }  # fmt: skip
        task: dict[str, Any] = {"id": 1, "data": data, "annotations": [], "predictions": []}
        if post.spans is not None:
            spans = spans_with_text(length)(post)["spans"]
            result = [
                {
                    "type": "labels",
                    "from_name": "label",
                    "to_name": "text",
                    "value": {
                        **{key: span[key] for key in ("start", "end")},
                        "text": span["text"].replace("\n", "\\n"),
                        "labels": [span["label"]],
                    },
                }
                for span in spans
            ]
            task["annotations"] = [{"id": 1, "result": result, "was_canceled": False}]
        return task

    return write


def conll(tagger: Callable[[Post], list[str]]) -> Callable[[list[Post]], str]:
    def write(posts: list[Post]) -> str:
        return "\n".join(
            f"IMGID:{','.join(post.images)}\n"
            + "".join(
                f"{word}\t{tag}\n" for word, tag in zip(post.words, tagger(post), strict=True)
            )
            for post in posts
        )

    return write


def webanno(posts: list[Post]) -> str:
    lines = ["#FORMAT=WebAnno TSV 3.3", "#T_SP=webanno.custom.NamedEntity|identifier|value", ""]
    position = 0
    numbers = count(1)
    for sentence, post in enumerate(posts, start=1):
        escaped = post.text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
        lines += ["", f"#Text={escaped}"]
        ids: list[str] = ["_\t_"] * len(post.words)
        for start, end, label in post.spans or []:
            number = next(numbers)
            ids[start:end] = [f"*[{number}]\t{label}[{number}]"] * (end - start)
        for i, (word, annotation) in enumerate(zip(post.words, ids, strict=True), start=1):
            end = position + units(word)
            lines.append(f"{sentence}-{i}\t{position}-{end}\t{word}\t{annotation}\t")
            position = end + 1
    return "\n".join(lines) + "\n"


def as_lines(write: Callable[[Post], Any]) -> Callable[[list[Post]], str]:
    return lambda posts: "".join(
        json.dumps(write(post), ensure_ascii=False) + "\n" for post in posts
    )


def as_list(write: Callable[[Post], Any]) -> Callable[[list[Post]], str]:
    return lambda posts: json.dumps([write(post) for post in posts], indent=1)


def tecoholic(posts: list[Post]) -> str:
    pairs = [spacy_tuple(post) for post in posts]
    return json.dumps({"classes": ["PER", "LOC"], "annotations": [*pairs, None]})
