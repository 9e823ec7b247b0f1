"""Annotates chunks of rows with a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.util import ignore_error, raise_error

from ..errors import ImageError, ImageWarning
from ..extensions import computed_attention
from ..pipeline.load_for_command import load_pipeline
from ..pipeline.multimodal_ner import MultimodalNER
from .chunks import Chunk, Row
from .image_opener import ImageOpener, Images, OpenedImages, parse_cell
from .task import Task

# Regions of a descriptor (a grid of 32 x 32). All posts of a batch are padded to the largest one.
MAX_REGIONS = 1024

Annotation = dict[str, Any]


class RowError(ValueError):
    """A row that cannot be annotated."""


class Annotator:
    """Annotates rows: one annotation per row, in order.

    An annotation has the keys `entities` (`start` and `end` in characters), `attention` if the task
    requests it, `image_status` and `error`. If the row failed, all but the error are None.

    scratch: folder for fetched images; the system's temporary folder if None.
    """

    # Decimals of scores and attention weights on which different machines agree.
    decimals = 4

    def __init__(self, task: Task, scratch: Path | None = None) -> None:
        self.task = task
        self.nlp = load_pipeline(task.model, task.gpu_id, task.code)
        # spaCy's limit protects its parser and NER; the task has its own.
        self.nlp.max_length = max(self.nlp.max_length, task.max_length)
        self.images = ImageOpener(task, scratch)
        self.set_attention(task.attention)

    def set_attention(self, is_requested: bool) -> None:
        """Annotate the attention of the posts that follow, or do not."""
        self.task = replace(self.task, attention=is_requested)
        for _, pipe in self.nlp.pipeline:
            if isinstance(pipe, MultimodalNER):
                pipe.annotate_attention = is_requested

    def __call__(self, chunk: Chunk, images: OpenedImages) -> list[Annotation]:
        """Annotate a chunk with its opened images, and delete those that were fetched."""
        rows = list(zip(chunk.rows, images.by_row, strict=True))
        annotations: list[Annotation | None] = [None] * len(rows)
        # Without a memory zone, the vocabulary would keep every word of the input.
        with images.fetched, self.nlp.memory_zone(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # the image status is in the output
            docs = []
            for i, row in enumerate(rows):
                try:
                    docs.append((self._doc(*row), i))
                except Exception as error:
                    annotations[i] = self._failed(error)
            for i, annotation in self._annotate(docs):
                annotations[i] = annotation
            del docs
            return [
                annotation or self._annotate_one(*row)
                for annotation, row in zip(annotations, rows, strict=True)
            ]

    def _annotate(self, docs: list[tuple[Doc, int]]) -> Iterable[tuple[int, Annotation]]:
        """Annotate posts in batches. Posts that fail, or follow a failure, are left out."""
        self.nlp.set_error_handler(ignore_error)
        stream = self.nlp.pipe(docs, as_tuples=True, batch_size=self.task.batch_size)
        try:
            for doc, i in stream:
                # The context is lost (None) if a component returns a new Doc.
                if i is not None:
                    yield i, self.annotation_of(doc)
        except Exception:
            return  # from a `pipe` method without error handling

    def _annotate_one(self, row: Row, images: Images) -> Annotation:
        self.nlp.set_error_handler(raise_error)
        try:
            return self.annotation_of(self.nlp(self._doc(row, images)))
        except Exception as error:
            return self._failed(error)

    def _doc(self, row: Row, images: Images) -> Doc:
        if row.error:
            raise RowError(row.error)
        columns = self.task.columns
        text = row.values.get(columns.text)
        if not isinstance(text, str):
            raise RowError(f"no text in the column {columns.text!r}")
        if len(text) > self.task.max_length:
            limit = f"--max-length is {self.task.max_length:,}"
            raise RowError(f"{len(text):,} characters; {limit}")
        doc = self.nlp.make_doc(text)
        doc._.image = images or None
        doc._.image_text = _image_text(row.values.get(columns.image_text))
        doc._.image_features = _image_features(row.values.get(columns.image_features))
        doc._.image_objects = parse_cell(row.values.get(columns.image_objects))
        return doc

    def annotation_of(self, doc: Doc) -> Annotation:
        """Return the annotation of an annotated post."""
        entities = [
            {
                "start": entity.start_char,
                "end": entity.end_char,
                "label": entity.label_,
                "text": entity.text,
                "score": None if entity._.score is None else round(entity._.score, self.decimals),
            }
            for entity in doc.ents
            if not entity.text.isspace()
        ]
        attention = {"attention": _attention(doc, self.decimals)} if self.task.attention else {}
        status = doc._.image_status
        return {"entities": entities, **attention, "image_status": status, "error": None}

    def _failed(self, error: Exception) -> Annotation:
        is_known = isinstance(error, RowError)
        reason = str(error) if is_known else f"{type(error).__name__}: {error}"
        attention = {"attention": None} if self.task.attention else {}
        return {"entities": None, **attention, "image_status": None, "error": reason}


def _image_text(cell: Any) -> str | None:
    if not isinstance(cell, str | None):
        raise RowError(
            f"image_text is not a string but {type(cell).__name__}: join several captions by line "
            "breaks"
        )
    return cell or None


def _image_features(cell: Any) -> np.ndarray | ImageError | None:
    """The descriptor in a cell, or the reason why it is masked."""
    value = parse_cell(cell)
    if value is None:
        return None
    try:
        features = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise RowError(f"image_features is not an array of numbers ({error})") from error
    if features.ndim > 1 and len(features) > MAX_REGIONS:
        return ImageError(f"too many regions: {len(features):,}, limit {MAX_REGIONS:,}")
    return features


def _attention(doc: Doc, decimals: int) -> list[dict[str, Any]] | None:
    """The attention of each token, None if the fuser computes none.

    The tokens are those that it was computed for: a later component may have merged or split them.
    """
    offsets, (weights, regions) = computed_attention(doc)
    if offsets is None:
        return None
    return [
        {
            "start": start,
            "end": end,
            "weights": _of_token(weights, i, decimals),
            "regions": _of_token(regions, i, decimals),
        }
        for i, (start, end) in enumerate(offsets.tolist())
    ]


def _of_token(
    attention: dict[str, np.ndarray] | None, i: int, decimals: int
) -> dict[str, Any] | None:
    """Modality → the weight of a token, or its weights over regions."""
    if attention is None:
        return None
    return {
        name: np.round(rows[i].astype(float), decimals).tolist() for name, rows in attention.items()
    }
