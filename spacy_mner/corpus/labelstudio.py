"""Label Studio's JSON: tasks with a text, an image and annotated regions.

Reads tasks as exported ("JSON", or "JSON-MIN" without predictions), and bare data as imported. Of
several annotations of a task, the ground truth is used, or else the first that was not skipped.
Writes tasks for import; what Label Studio has no key for is stored under `data.spacy_mner`, which
an export preserves.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from spacy.tokens import Doc

from ..images.data_uris import is_data_uri
from ..utils.atomic_file import atomic_file
from .offsets import exported_text
from .posts import ReadContext
from .record import doc_to_record
from .unread_annotation import find_unread, find_unread_image

# The names of the tags in a project's labeling config:
# <Text name="text" value="$text"/>, <Labels name="label" toName="text">.
TEXT_TAG = "text"
LABELS_TAG = "label"

# The key of `data` for the keys of a record that Label Studio does not know: all but these.
EXTRA = "spacy_mner"
KNOWN_KEYS = {"text", "spans", "answer", "_view_id"}

# Versions differ in the key of an annotation that was skipped.
SKIPPED_KEYS = ("was_canceled", "was_cancelled", "skipped")

# Types of the labels of text: of a span of characters, of HTML, of a dialog.
TEXT_TYPES = ("labels", "hypertextlabels", "paragraphlabels")

# Keys of a task that hold regions, and its data.
TASK_KEYS = ("data", "annotations", "completions", "predictions", "drafts")

# URLs under which Label Studio serves local files and uploads.
LOCAL_FILES = "/data/local-files/?d="
SERVED = re.compile(
    r"(?:https?://[^/?#]+)?/data/(?:local-files/\?(?P<query>.*)|upload/(?P<upload>.*))", re.DOTALL
)


def is_task(item: Any) -> bool:
    """Whether an object is a task with its annotation, or one of JSON-MIN with labels."""
    return isinstance(item, dict) and (
        (isinstance(item.get("data"), dict) and "text" not in item)
        or EXTRA in item
        or "annotation_id" in item
        or bool(_labeled_values(item))
    )


class TaskConverter:
    """Converts the tasks of a file to records."""

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._seen: set[str] = set()

    def __call__(self, task: dict[str, Any], number: int) -> dict[str, Any]:
        """Convert a task. Raises ValueError for an invalid one."""
        parser = _TaskParser(task, number, self._context)
        record = parser.parse()
        # JSON-MIN has one item per annotation, so that a task can occur several times.
        if parser.is_minimal and None not in (task.get("annotation_id"), task.get("id")):
            name = str(task["id"])
            if name in self._seen:
                raise ValueError(f"another annotation of task {name}, of which the first was used")
            self._seen.add(name)
        return record


class _TaskParser:
    """Converts a task to a record; raises ValueError for an invalid one."""

    def __init__(self, task: dict[str, Any], number: int, context: ReadContext) -> None:
        self.task = task
        self.report = functools.partial(context.report, number)
        self.unread_images = context.unread_images
        self.is_minimal = not isinstance(task.get("data"), dict)
        self.data: dict[str, Any] = task if self.is_minimal else task["data"]
        self.left_out: Counter[str] = Counter()
        self.has_unread_text = False

    def parse(self) -> dict[str, Any]:
        text = self.data.get("text")
        if not isinstance(text, str):
            raise ValueError('no "text" in its data')
        regions = self._flat_regions() if self.is_minimal else self._regions()
        if regions is None:
            self._refuse_other_annotation()
        spans = None if regions is None else self._spans(text, regions)
        record = self._metadata() | {"text": text, "spans": spans}
        outcome = "left out"
        if self.has_unread_text:
            record["missing"] = [{"start": 0, "end": len(text)}] if text else []
            outcome += "; tokens outside of the other spans count as not annotated"
        if self.left_out:
            counts = (f"{number} × {name}" for name, number in sorted(self.left_out.items()))
            self.report(f"{', '.join(counts)}: {outcome}")
        return record

    def _refuse_other_annotation(self) -> None:
        found = find_unread({**self.task, **self.data}, {EXTRA, "tokens", *TASK_KEYS})
        if found is not None:
            raise ValueError(
                f'"{found.key}" looks like annotation, but only "annotations" of a task is read: '
                "write .data as the posts of a .jsonl file"
            )

    def _metadata(self) -> dict[str, Any]:
        """Return all keys of the record but its text and annotation."""
        image, images = self.data.get("image"), self.data.get("images")
        self.left_out.update(["images beside image"] if image and images else [])
        image = served_path(image or images)
        extra = self.data.get(EXTRA)
        if isinstance(extra, dict):
            return {"image": image} | extra
        if image is None and (key := find_unread_image(self.data, ("text", "id"))) is not None:
            self.unread_images[key] += 1
        return {"image": image, "id": self.data.get("id", self.task.get("id"))}

    def _regions(self) -> list[Any] | None:
        for key in ("predictions", "drafts"):
            value = self.task.get(key)
            self.left_out.update({key: len(value)} if value and isinstance(value, list) else {})
        annotations = self.task.get("annotations", self.task.get("completions"))
        if not annotations:
            return None
        if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
            raise ValueError('"annotations" is not a list of objects')
        regions = self._select(annotations).get("result")
        if not isinstance(regions, list):
            raise ValueError('"result" is not a list')
        return regions

    def _select(self, annotations: list[dict[str, Any]]) -> dict[str, Any]:
        kept = [one for one in annotations if not any(map(one.get, SKIPPED_KEYS))]
        if not kept:
            raise ValueError("skipped by all annotators")
        true = [one for one in kept if one.get("ground_truth") is True]
        if len(kept) > 1:
            selected = "the ground truth" if true else "the first"
            self.report(f"{len(kept)} annotations; {selected} was used")
        return (true or kept)[0]

    def _flat_regions(self) -> list[Any] | None:
        """JSON-MIN has the values of all regions of a tag under the name of the tag.

        The type of a region is the key of its labels, such as "labels" or "rectanglelabels".
        """
        if any(map(self.task.get, SKIPPED_KEYS)):
            raise ValueError("skipped by its annotator")
        regions = [
            {"type": kind, "to_name": TEXT_TAG, "value": value}
            for kind, value in _labeled_values(self.task)
        ]
        return regions if regions or self.task.get("annotation_id") is not None else None

    def _spans(self, text: str, regions: list[Any]) -> list[dict[str, Any]]:
        labeled = [one for one in regions if self._is_labeled_text(one)]
        tags = [one.get("to_name") for one in labeled]
        tag = TEXT_TAG if TEXT_TAG in tags else next(iter(tags), None)
        values = [one["value"] for one in labeled if one.get("to_name") == tag]
        self.left_out.update(["labels of another text"] * (len(labeled) - len(values)))
        return [
            {"start": one["start"], "end": one["end"], "label": label, "text": one.get("text")}
            for one in values
            for label in one["labels"]
        ]

    def _is_labeled_text(self, region: Any) -> bool:
        """Whether a region is a labeled span of text; counts those that are not."""
        kind = region.get("type") if isinstance(region, dict) else None
        value = region["value"] if kind == "labels" and "value" in region else None
        if isinstance(value, dict) and type(value.get("start")) is type(value.get("end")) is int:
            if isinstance(value.get("labels"), list) and value["labels"]:
                return True
            kind = "region without a label"
        elif kind == "labels":
            kind = "labels of something other than text"
        self.has_unread_text |= _is_text(region)
        self.left_out[str(kind or "region without a type")] += 1
        return False


def _is_text(region: Any) -> bool:
    """Whether a region is one of text, which includes HTML and dialogs."""
    value = region.get("value") if isinstance(region, dict) else None
    return (
        isinstance(value, dict)
        and region.get("type") in TEXT_TYPES
        and {"start", "end"} <= value.keys()
        and "channel" not in value  # of audio
    )


def _labeled_values(item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the regions of an item of JSON-MIN, each with the key of its labels."""
    return [
        (kind, value)
        for values in item.values()
        if isinstance(values, list)
        for value in values
        if isinstance(value, dict)
        for kind in value
        if kind.endswith("labels") and isinstance(value[kind], list)
    ]


def served_path(image: Any) -> Any:
    """Convert the URL of an image that Label Studio serves to its path."""
    if isinstance(image, list):
        return [served_path(one) for one in image]
    served = SERVED.fullmatch(image) if isinstance(image, str) else None
    if served is None:
        return image
    if served["upload"] is not None:
        return unquote(served["upload"])
    return next(iter(parse_qs(served["query"]).get("d", [])), image)


def write_tasks(docs: Iterable[Doc], path: Path, images_root: Path | None = None) -> None:
    """Write Docs as tasks for import, one at a time.

    images_root: folder of the images, a subfolder of Label Studio's document root.
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
    extra = {k: v for k, v in record.items() if k not in KNOWN_KEYS and v is not None}
    url = _url_of(record["image"], folder)
    if url == record["image"]:
        extra.pop("image", None)
    # A project with an image tag rejects tasks in which this key is missing or null.
    task: dict[str, Any] = {"data": {"text": text, "image": url or "", EXTRA: extra}}
    if spans is not None:
        regions = [text_region(number, text, span) for number, span in enumerate(spans)]
        task["annotations"] = [{"result": regions, "was_canceled": False}]
    return task


def text_region(
    number: int,
    text: str,
    span: Mapping[str, Any],
    from_name: str = LABELS_TAG,
    to_name: str = TEXT_TAG,
) -> dict[str, Any]:
    """Return a span of a text (`start`, `end`, `label`) as a region.

    number: unique within the task. from_name, to_name: names of the tags of labels and text.
    """
    return {
        "id": f"span-{number}",
        "type": "labels",
        "from_name": from_name,
        "to_name": to_name,
        "value": {
            "start": span["start"],
            "end": span["end"],
            "text": exported_text(text[span["start"] : span["end"]]),
            "labels": [span["label"]],
        },
    }


def _url_of(image: Any, folder: str) -> Any:
    """Convert the path of an image to the URL at which Label Studio serves it."""
    if isinstance(image, list):
        return [_url_of(one, folder) for one in image]
    if image is None or is_data_uri(image) or "://" in image:
        return image
    return LOCAL_FILES + quote(f"{folder}/{image}" if folder else image)
