"""Annotates chunks of rows with one loaded pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..errors import ImageError, ImageWarning
from ..pipeline.loading import load_pipeline
from ..pipeline.multimodal_ner import MultimodalNER
from .chunks import Chunk, Row
from .image_opener import ImageOpener, Opened, OpenedChunk, from_json
from .task import Task

# Regions of a descriptor (a grid of 32 x 32): a larger one fills the memory, as the posts that are
# computed together all get places for as many.
MOST_REGIONS = 1024
# Digits of scores and weights: what several machines agree on.
DIGITS = 4

Annotation = dict[str, Any]


class PostError(ValueError):
    """Why a row is no post that can be annotated, in words for the user."""


class Annotator:
    """Turns rows into annotations, one each and in their order; a row that fails says why.

    An annotation has the keys `entities` (`start` and `end` count characters of the text),
    `attention` where the task asks for it, `image_status` and `error`; all None but the error for
    a row that failed.

    scratch: folder for images that are fetched; the temporary one where it is None.
    """

    def __init__(self, task: Task, scratch: Path | None = None) -> None:
        self.task = task
        self.nlp = load_pipeline(task.model, task.gpu_id)
        # spaCy's limit is one of its parser and tagger; the task has its own.
        self.nlp.max_length = max(self.nlp.max_length, task.max_length)
        self.images = ImageOpener(task, scratch)
        for _, pipe in self.nlp.pipeline:
            if isinstance(pipe, MultimodalNER):
                pipe.annotate_attention = task.attention

    def open(self, chunk: Chunk) -> OpenedChunk:
        """Open (or fetch) the images of each row: what can go on while another chunk is computed.

        No image's pixels are in memory afterwards.
        """
        return self.images.open(chunk)

    def __call__(self, chunk: Chunk, opened: OpenedChunk) -> list[Annotation]:
        """Annotate a chunk whose images were opened, and close them."""
        rows = list(zip(chunk.rows, opened.images, strict=True))
        annotations: list[Annotation | None] = [None] * len(rows)
        try:
            # Words of a million posts would stay in the vocabulary otherwise.
            with self.nlp.memory_zone(), warnings.catch_warnings():
                warnings.simplefilter("ignore", ImageWarning)  # each annotation says it
                docs = []
                for i, (row, images) in enumerate(rows):
                    try:
                        docs.append((self._doc(row, images), i))
                    except Exception as error:
                        annotations[i] = self._failed(error)
                for i, annotation in self._annotate(docs):
                    annotations[i] = annotation
                del docs
                for i, (row, images) in enumerate(rows):
                    annotations[i] = annotations[i] or self._alone(row, images)
        finally:
            opened.close()
        return [annotation for annotation in annotations if annotation is not None]

    def _annotate(self, docs: list[tuple[Doc, int]]) -> Iterable[tuple[int, Annotation]]:
        """Annotate posts together. Those that are missing in the end failed, or stood by one."""
        for _, pipe in self.nlp.pipeline:
            if hasattr(pipe, "set_error_handler"):
                pipe.set_error_handler(_leave_out)
        stream = self.nlp.pipe(docs, as_tuples=True, batch_size=self.task.batch_size)
        try:
            for doc, i in stream:
                # A component that makes a Doc of its own drops whose it is.
                if i is not None:
                    yield i, self._annotation(doc)
        except Exception:
            return  # of a component that handles no error: the posts that are left go alone

    def _alone(self, row: Row, opened: Opened) -> Annotation:
        """Annotate one post by itself, so that its error is its own."""
        for _, pipe in self.nlp.pipeline:
            if hasattr(pipe, "set_error_handler"):
                pipe.set_error_handler(_raise)
        try:
            return self._annotation(self.nlp(self._doc(row, opened)))
        except Exception as error:
            return self._failed(error)

    def _doc(self, row: Row, opened: Opened) -> Doc:
        if row.problem:
            raise PostError(row.problem)
        columns = self.task.columns
        text = row.values.get(columns.text)
        if not isinstance(text, str):
            raise PostError(f"no text in the column {columns.text!r}")
        if len(text) > self.task.max_length:
            limit = f"--max-length is {self.task.max_length:,}"
            raise PostError(f"{len(text):,} characters; {limit}")
        doc = self.nlp.make_doc(text)
        doc._.image = opened or None
        doc._.image_text = _image_text(row.values.get(columns.image_text))
        doc._.image_features = _features(row.values.get(columns.image_features))
        doc._.image_objects = _objects(row.values.get(columns.image_objects))
        return doc

    def _annotation(self, doc: Doc) -> Annotation:
        attention = {"attention": _attention(doc)} if self.task.attention else {}
        return {
            "entities": [
                {
                    "start": entity.start_char,
                    "end": entity.end_char,
                    "label": entity.label_,
                    "text": entity.text,
                    "score": None if entity._.score is None else round(entity._.score, DIGITS),
                }
                for entity in doc.ents
                if not entity.text.isspace()
            ],
            **attention,
            "image_status": doc._.image_status,
            "error": None,
        }

    def _failed(self, error: Exception) -> Annotation:
        known = isinstance(error, PostError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        attention = {"attention": None} if self.task.attention else {}
        return {"entities": None, **attention, "image_status": None, "error": reason}


def _image_text(value: Any) -> str | None:
    """The text about the image in a cell. Raises PostError for what is none."""
    if not (value is None or isinstance(value, str)):
        raise PostError(
            f"image_text is no text, but of type {type(value).__name__}: join several captions "
            "by line breaks"
        )
    return value or None


def _features(value: Any) -> np.ndarray | ImageError | None:
    """The descriptor in a cell, in CSV as JSON, or why it is masked.

    Raises PostError for what is none.
    """
    if value is None or value == "":
        return None
    try:
        features = np.asarray(from_json(value), dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise PostError(f"image_features is not an array of numbers ({error})") from error
    if features.ndim > 1 and len(features) > MOST_REGIONS:
        return ImageError(f"image_features has {len(features):,} regions, limit {MOST_REGIONS:,}")
    return features


def _objects(value: Any) -> Any:
    """The objects in a cell, in CSV as JSON; what is wrong with them shows when they are used."""
    return None if value is None or value == "" else from_json(value)


def _attention(doc: Doc) -> list[dict[str, Any]] | None:
    """What each token of a post attends to; None where the fuser weighs nothing."""
    weights, regions = doc._.modality_attention, doc._.image_attention
    if weights is None and regions is None:
        return None
    return [
        {
            "start": token.idx,
            "end": token.idx + len(token),
            "weights": _of_token(weights, token.i),
            "regions": _of_token(regions, token.i),
        }
        for token in doc
    ]


def _of_token(attention: dict[str, np.ndarray] | None, i: int) -> dict[str, Any] | None:
    """A weight, or a list of them, for each modality."""
    if attention is None:
        return None
    return {
        name: np.round(rows[i].astype(float), DIGITS).tolist() for name, rows in attention.items()
    }


def _leave_out(name: str, pipe: Any, docs: list[Doc], error: Exception) -> None: ...


def _raise(name: str, pipe: Any, docs: list[Doc], error: Exception) -> None:
    raise error
