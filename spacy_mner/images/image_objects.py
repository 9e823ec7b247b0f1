"""ImageObject: an object in an image, given in `doc._.image_objects` or detected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from .safety.limits import LARGEST

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ImageObject:
    """An object in an image.

    label: its class.
    score: confidence of the detector; objects with higher scores are preferred.
    box: left, top, right, bottom, relative to the image's width and height: 0 to 1.
    vector: its features, float32 [dim].
    """

    label: str
    score: float | None = None
    box: Box | None = None
    vector: np.ndarray | None = None


def read_objects(value: Any) -> list[ImageObject]:
    """Validate a list of labels, or of mappings with "label" and optional "score", "box", "vector".

    Other keys and None values are ignored. Raises ImageError for anything else.
    """
    if not isinstance(value, (list, tuple)):
        raise _invalid(f"not a list, but {type(value).__name__}")
    return [_read(one, f"object {number}") for number, one in enumerate(value, start=1)]


def write_objects(objects: Iterable[ImageObject]) -> list[Any]:
    """Convert objects to JSON-serializable values, the inverse of `read_objects`."""
    return [_write(one) for one in objects]


def top_scoring(objects: Iterable[ImageObject], n: int) -> list[ImageObject]:
    """Return the n objects with the highest scores; those without a score sort last, in order."""
    return sorted(objects, key=lambda one: np.inf if one.score is None else -one.score)[:n]


def _invalid(detail: str) -> ImageError:
    return ImageError(f"invalid image_objects: {detail}")


def _read(value: Any, name: str) -> ImageObject:
    given = value if isinstance(value, Mapping) else {"label": value}
    label = given.get("label")
    if not isinstance(label, str) or not label:
        raise _invalid(f"{name} has no label")
    score, box, vector = (
        None if given.get(key) is None else _numbers(given[key], f"the {key} of {name}")
        for key in ("score", "box", "vector")
    )
    if score is not None and score.ndim:
        raise _invalid(f"the score of {name} is not one number")
    if vector is not None and (vector.ndim != 1 or not vector.size):
        raise _invalid(f"the vector of {name} has shape {list(vector.shape)}")
    return ImageObject(
        label=label,
        score=None if score is None else float(score),
        box=None if box is None else _box(box, name),
        vector=None if vector is None else vector.astype(np.float32),
    )


def _numbers(value: Any, name: str) -> np.ndarray:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _invalid(f"{name} does not consist of numbers") from error
    if not (np.abs(numbers) <= LARGEST).all():
        raise _invalid(f"{name} has values that are not within ±{LARGEST:,.0f}")
    return numbers


def _box(numbers: np.ndarray, name: str) -> Box:
    if numbers.shape != (4,) or numbers.min() < 0 or numbers.max() > 1:
        raise _invalid(
            f"the box of {name} is not [x0, y0, x1, y1], relative to the image's width and "
            "height (0 to 1)"
        )
    x0, y0, x1, y1 = map(float, numbers)
    if x0 > x1 or y0 > y1:
        raise _invalid(f"the box of {name} has x0 > x1 or y0 > y1")
    return x0, y0, x1, y1


def _write(one: ImageObject) -> Any:
    written = {key: value for key, value in vars(one).items() if value is not None}
    if one.vector is not None:
        written["vector"] = one.vector.tolist()
    return one.label if len(written) == 1 else written
