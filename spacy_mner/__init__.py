"""Named entity recognition for short posts that come with an image, as spaCy components."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from spacy.language import Language
from spacy.tokens import Doc

from . import extensions
from .about import __version__
from .errors import (
    AlignmentWarning,
    CheckpointWarning,
    CorpusError,
    ImageError,
    ImageWarning,
    LoadingError,
    MissingImagesWarning,
    MNERError,
    MNERWarning,
    UnknownLabelsWarning,
    UsageError,
)
from .registries import image_encoders, image_readers, object_detectors
from .utils.caller import warn_caller

if TYPE_CHECKING:
    from .pipeline.multimodal_ner import MultimodalNER
    from .training.reader import MultimodalCorpus
    from .visualize.render import render

__all__ = [
    "AlignmentWarning",
    "CheckpointWarning",
    "CorpusError",
    "ImageError",
    "ImageWarning",
    "LoadingError",
    "MNERError",
    "MNERWarning",
    "MissingImagesWarning",
    "MultimodalCorpus",
    "MultimodalNER",
    "UnknownLabelsWarning",
    "UsageError",
    "__version__",
    "image_encoders",
    "image_readers",
    "make_docs",
    "object_detectors",
    "render",
]

# The attributes of a post that `make_docs` sets.
_ROW_ATTRIBUTES = ("image", "image_text", "image_objects", "image_features")

extensions.register()


def make_docs(nlp: Language, rows: Iterable[Mapping[str, Any]]) -> Iterator[Doc]:
    """Create Docs from rows, for `nlp.pipe`.

    rows: mappings with `text`, and perhaps `image`, `image_text`, `image_objects` and
        `image_features`, which become the attributes of the Doc with these names; None, NaN and
        pandas.NA are missing values. Other keys are not read; the first row without the key
        `image`, but with another that looks like an image, causes an ImageWarning.

    Raises UsageError for what is not such a row.
    """
    from .corpus.unread_annotation import find_unread_image, unread_image_hint

    _require_rows(rows)
    has_warned = False
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping) or not isinstance(row.get("text"), str):
            found = type(row).__name__
            if isinstance(row, Mapping):
                found = f"with {type(row['text']).__name__} there" if "text" in row else "without"
            raise UsageError(
                f"Row {number} of make_docs is not a mapping with a string under 'text', but "
                f"{found}: pass rows such as {{'text': …, 'image': …}}."
            )
        is_checked = has_warned or "image" in row
        key = None if is_checked else find_unread_image(row, ("text", *_ROW_ATTRIBUTES))
        if key is not None:
            hint = unread_image_hint(key)
            warn_caller(f"Row {number} of make_docs has no image: {hint}.", ImageWarning)
            has_warned = True
        doc = nlp.make_doc(str(row["text"]))  # may be a string of NumPy
        for name in _ROW_ATTRIBUTES:
            value = row.get(name)
            if name == "image" and isinstance(value, list | tuple):
                value = [_embedded(one) for one in value if not _is_missing(one)]
            if _is_missing(value):
                continue
            try:
                doc._.set(name, _embedded(value) if name == "image" else value)
            except TypeError as error:
                raise UsageError(f"Row {number} of make_docs: {error}") from error
        yield doc


def _is_missing(value: Any) -> bool:
    # Data frames have NaN or pandas.NA for missing values.
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ == "NAType"


def _embedded(image: Any) -> Any:
    """Return the bytes or the path of an image of a data set of Hugging Face."""
    is_embedded = isinstance(image, Mapping) and image.keys() == {"bytes", "path"}
    return image["bytes"] or image["path"] if is_embedded else image


def _require_rows(rows: Any) -> None:
    remedy = "[{'text': …, 'image': …}]"
    if hasattr(rows, "to_pylist"):  # pyarrow
        remedy = "table.to_pylist()"
    elif hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas
        remedy = "frame.to_dict('records')"
    elif isinstance(rows, Iterable) and not isinstance(rows, str | bytes | Mapping | Doc):
        return
    raise UsageError(
        f"make_docs takes an iterable of mappings, not {type(rows).__name__}: pass {remedy}."
    )


def __getattr__(name: str) -> Any:
    # Imported on first use: they import torch, which takes seconds.
    if name == "MultimodalNER":
        from .pipeline.multimodal_ner import MultimodalNER

        return MultimodalNER
    if name == "MultimodalCorpus":
        from .training.reader import MultimodalCorpus

        return MultimodalCorpus
    if name == "render":
        from .visualize.render import render

        return render
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
