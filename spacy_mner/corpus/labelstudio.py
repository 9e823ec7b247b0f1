"""Label Studio's JSON: tasks with a text, an image and what annotators marked in it.

Read are tasks as exported ("JSON", or "JSON-MIN" without its predictions), and bare data as it is
imported. Of several annotations of a task, the one marked as ground truth is taken, else the first
that was not skipped. Written are tasks for import, each with what Label Studio has no place for
under `data.spacy_mner`; it comes back with an export.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from spacy.language import Language
from spacy.tokens import Doc

from ..errors import CorpusError
from ..utils.atomic_file import atomic_file
from .conll import BYTE_ORDER_MARK
from .jsonl import refuse_half_characters
from .offsets import WrittenSpan, as_shown, characters
from .posts import Labels, Post
from .problems import Problem
from .record import DATA_URI, UNKNOWN_SPACES, doc_to_record, read_posts

SUFFIX = ".json"

# The names that a project of Label Studio gives to its tags:
# <Text name="text" value="$text"/>, <Labels name="label" toName="text">.
TEXT_TAG = "text"
LABELS_TAG = "label"

# Where that travels which Label Studio does not know.
OURS = "spacy_mner"
TRAVELLING = (
    "id",
    "image",
    "image_features",
    "image_objects",
    "image_text",
    "tokens",
    "missing",
    UNKNOWN_SPACES,
)

# What Label Studio serves: files of its machine, and files that were uploaded to it.
LOCAL_FILES = "/data/local-files/?d="
SERVED = re.compile(
    r"(?:https?://[^/?#]+)?/data/(?:local-files/\?(?P<query>.*)|upload/(?P<upload>.*))", re.DOTALL
)


def read_tasks(path: Path) -> list[Any]:
    """The tasks of a file, which may also hold a single one. Raises CorpusError."""
    try:
        content = path.read_bytes().decode("utf-8").removeprefix(BYTE_ORDER_MARK)
        tasks = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not JSON in UTF-8 ({error}).") from error
    if isinstance(tasks, dict):
        return [tasks]
    if not isinstance(tasks, list):
        raise CorpusError(f"{path} holds no list of tasks; export it from Label Studio as JSON.")
    return tasks


def parse_tasks(
    tasks: Iterable[Any],
    *,
    nlp: Language,
    labels: Labels,
    report: Callable[[Problem], None],
) -> Iterator[Post]:
    """Read posts from tasks; see `read_posts`."""
    seen: set[str] = set()

    def to_record(task: Any, number: int) -> dict[str, Any]:
        refuse_half_characters(task)
        if not isinstance(task, dict):
            raise ValueError("not a JSON object")
        reader = _TaskReader(task, lambda reason: report(Problem(number, reason)))
        record = reader.record()
        if reader.minimal:
            _refuse_second_annotation(task, seen)
        return record

    numbered = enumerate(tasks, start=1)
    return read_posts(numbered, to_record, noun="task", nlp=nlp, labels=labels, report=report)


def _refuse_second_annotation(task: dict[str, Any], seen: set[str]) -> None:
    """JSON-MIN has an item for each annotation, also where several are of one task."""
    if task.get("annotation_id") is None or task.get("id") is None:
        return
    name = str(task["id"])
    if name in seen:
        raise ValueError(f"another annotation of task {name}, of which the first was taken")
    seen.add(name)


class _TaskReader:
    """Turns a task into a record; ValueError says what is wrong with it."""

    def __init__(self, task: dict[str, Any], tell: Callable[[str], None]) -> None:
        self.task = task
        self.tell = tell
        self.minimal = not isinstance(task.get("data"), dict)
        self.data: dict[str, Any] = task if self.minimal else task["data"]
        self.left_out: Counter[str] = Counter()

    def record(self) -> dict[str, Any]:
        text = self.data.get("text")
        if not isinstance(text, str):
            raise ValueError('no "text" in its data')
        if self.minimal and "spans" in self.data:
            raise ValueError('"spans" belongs into .jsonl, not into a file of Label Studio')
        regions = self._flat_regions() if self.minimal else self._regions()
        spans = None if regions is None else self._spans(text, regions)
        described = self._described()
        if self.left_out:
            found = (f"{number} × {what}" for what, number in sorted(self.left_out.items()))
            self.tell(f"{', '.join(found)}: left out")
        return described | {"text": text, "spans": spans}

    def _described(self) -> dict[str, Any]:
        """All but the text and its annotation."""
        image, images = self.data.get("image"), self.data.get("images")
        self.left_out.update(["images beside image"] if image and images else [])
        image = _reference(image or images)
        ours = self.data.get(OURS)
        if isinstance(ours, dict):
            return {"image": image} | {key: ours[key] for key in TRAVELLING if key in ours}
        return {"image": image, "id": self.data.get("id", self.task.get("id"))}

    def _regions(self) -> list[Any] | None:
        for key in ("predictions", "drafts"):
            given = self.task.get(key)
            self.left_out.update({key: len(given)} if given and isinstance(given, list) else {})
        annotations = self.task.get("annotations", self.task.get("completions"))
        if not annotations:
            return None
        if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
            raise ValueError('"annotations" is not a list of objects')
        regions = self._chosen(annotations).get("result")
        if not isinstance(regions, list):
            raise ValueError('"result" is not a list')
        return regions

    def _chosen(self, annotations: list[dict[str, Any]]) -> dict[str, Any]:
        kept = [one for one in annotations if not (one.get("was_canceled") or one.get("skipped"))]
        if not kept:
            raise ValueError("skipped by whoever annotated it")
        true = [one for one in kept if one.get("ground_truth") is True]
        if len(kept) > 1:
            which = "the ground truth among them" if true else "the first"
            self.tell(f"{len(kept)} annotations; {which} was taken")
        return (true or kept)[0]

    def _flat_regions(self) -> list[Any] | None:
        """JSON-MIN has the values of all regions of a tag under the name of the tag."""
        regions = [
            {"type": kind, "to_name": TEXT_TAG, "value": value}
            for values in self.task.values()
            if isinstance(values, list)
            for value in values
            for kind in _kinds(value)
        ]
        return regions if regions or self.task.get("annotation_id") is not None else None

    def _spans(self, text: str, regions: list[Any]) -> list[dict[str, Any]]:
        marked = [one for one in regions if self._marks_text(one)]
        tags = [one.get("to_name") for one in marked]
        tag = TEXT_TAG if TEXT_TAG in tags else next(iter(tags), None)
        values = [one["value"] for one in marked if one.get("to_name") == tag]
        self.left_out.update(["labels of another text"] * (len(marked) - len(values)))
        written = [WrittenSpan(one["start"], one["end"], one.get("text")) for one in values]
        offsets = characters(text, written, self.tell)
        return [
            {"start": start, "end": end, "label": label}
            for (start, end), value in zip(offsets, values, strict=True)
            for label in value["labels"]
        ]

    def _marks_text(self, region: Any) -> bool:
        """Whether a region is a stretch of text with a label; what is not is counted."""
        kind = region.get("type") if isinstance(region, dict) else None
        value = region["value"] if kind == "labels" and "value" in region else None
        if isinstance(value, dict) and type(value.get("start")) is type(value.get("end")) is int:
            if isinstance(value.get("labels"), list) and value["labels"]:
                return True
            kind = "region without a label"
        elif kind == "labels":
            kind = "labels of something else than text"
        self.left_out[str(kind or "region of no type")] += 1
        return False


def _kinds(value: Any) -> list[str]:
    """The types of a region in JSON-MIN, by its keys: "labels", "rectanglelabels" and the like."""
    return [key for key in value if key.endswith("labels")] if isinstance(value, dict) else []


def _reference(image: Any) -> Any:
    """An image as a path where Label Studio serves it, and as it stands otherwise."""
    if isinstance(image, list):
        return [_reference(one) for one in image]
    served = SERVED.fullmatch(image) if isinstance(image, str) else None
    if served is None:
        return image
    if served["upload"] is not None:
        return unquote(served["upload"])
    return next(iter(parse_qs(served["query"]).get("d", [])), image)


def write_tasks(docs: Iterable[Doc], path: Path, images_root: Path | None = None) -> None:
    """Write Docs as tasks for import, one at a time.

    images_root: Label Studio serves its images from the folder above (its document root), for
        it wants them in a folder below that.
    """
    folder = Path(os.path.abspath(images_root)).name if images_root else ""
    with atomic_file(path) as file:
        file.write(b"[")
        for number, doc in enumerate(docs):
            task = json.dumps(_doc_to_task(doc, folder), ensure_ascii=False)
            file.write(f"{',' if number else ''}\n{task}".encode())
        file.write(b"\n]\n")


def _doc_to_task(doc: Doc, folder: str) -> dict[str, Any]:
    record = doc_to_record(doc)
    text, spans = record["text"], record.get("spans")
    ours = {key: record[key] for key in TRAVELLING if record.get(key) is not None}
    shown = _shown(record["image"], folder)
    if shown == record["image"]:
        ours.pop("image", None)
    # A project that shows images refuses tasks without this key, and null in it.
    task: dict[str, Any] = {"data": {"text": text, "image": shown or "", OURS: ours}}
    if spans is not None:
        regions = [_region(number, text, span) for number, span in enumerate(spans)]
        task["annotations"] = [{"result": regions, "was_canceled": False}]
    return task


def _region(number: int, text: str, span: dict[str, Any]) -> dict[str, Any]:
    start, end = span["start"], span["end"]
    covered = as_shown(text[start:end])
    return {
        "id": f"span-{number}",
        "type": "labels",
        "from_name": LABELS_TAG,
        "to_name": TEXT_TAG,
        "value": {"start": start, "end": end, "text": covered, "labels": [span["label"]]},
    }


def _shown(image: Any, folder: str) -> Any:
    """An image as Label Studio can show it: a path as the address that serves it."""
    if isinstance(image, list):
        return [_shown(one, folder) for one in image]
    if image is None or image.startswith(DATA_URI) or "://" in image:
        return image
    return LOCAL_FILES + quote(f"{folder}/{image}" if folder else image)
