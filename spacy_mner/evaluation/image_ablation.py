"""What the image is worth: posts with theirs, with none, or with that of another post."""

from __future__ import annotations

import json
import random
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from spacy.tokens import Doc

from ..errors import CorpusError, ImageError
from ..extensions import copy_image, drop_image, has_image, has_image_text
from ..images.image_objects import read_objects, write_objects
from ..images.reference import open_image, references

Images = Literal["on", "off", "shuffled"]
IMAGES: tuple[Images, ...] = ("on", "off", "shuffled")


class ShuffleError(CorpusError):
    """The posts have too few different images for every one to get another."""


def set_images(
    docs: Sequence[Doc], images: Images, *, seed: int = 0, images_root: Path | None = None
) -> None:
    """Change the images of Docs in place.

    "on" leaves them, "off" takes them away, "shuffled" gives every post that has an image the
    one of another such post whose image differs from its own; posts without one stay without.
    The same seed gives the same exchange. The text about an image goes where the image goes; a
    post that has no more than such text counts as one with an image.
    images_root: where relative paths are looked up, so that one image under two names counts
        as one.
    Raises ShuffleError where there is no such exchange.
    """
    if images not in IMAGES:
        raise ValueError(f"images is one of {', '.join(IMAGES)}, not {images!r}.")
    if images == "off":
        for doc in docs:
            drop_image(doc)
    elif images == "shuffled":
        shown = [doc for doc in docs if has_image(doc) or has_image_text(doc)]
        _shuffle(shown, seed, images_root)


def _shuffle(docs: Sequence[Doc], seed: int, images_root: Path | None) -> None:
    donors = derangement([_content(doc, images_root) for doc in docs], seed)
    # Bare Docs hold what is handed on while it is being overwritten.
    kept = [Doc(doc.vocab) for doc in docs]
    for doc, keeper in zip(docs, kept, strict=True):
        copy_image(doc, keeper)
    for doc, donor in zip(docs, donors, strict=True):
        copy_image(kept[donor], doc)


def derangement(keys: Sequence[Hashable], seed: int) -> list[int]:
    """Exchange positions such that none gets its own key: `keys[result[i]] != keys[i]`.

    The result is a permutation of the positions. Raises ShuffleError where one key is that of
    more than half of the positions, which leaves no such permutation.
    """
    if not keys:
        raise ShuffleError("Cannot shuffle images: no post has one.")
    order = list(range(len(keys)))
    random.Random(seed).shuffle(order)
    groups: dict[Hashable, list[int]] = {}
    for position in order:
        groups.setdefault(keys[position], []).append(position)
    largest = max(map(len, groups.values()))
    if largest * 2 > len(keys):
        raise ShuffleError(
            f"Cannot shuffle images: {largest} of the {len(keys)} posts with an image "
            "have the same one, so that some post would keep its own."
        )
    # With equal keys side by side, a step as long as the longest run leaves every run.
    grouped = [position for group in groups.values() for position in group]
    result = [0] * len(keys)
    for i, position in enumerate(grouped):
        result[position] = grouped[(i + largest) % len(grouped)]
    return result


def _content(doc: Doc, images_root: Path | None) -> Hashable:
    """What makes two posts' images the same: the content that a model sees, not the name."""
    if doc._.image_features is not None:
        features = np.asarray(doc._.image_features)
        return features.shape, features.tobytes()
    if doc._.image is None and doc._.image_objects is None:
        return repr(doc._.image_text)
    if doc._.image is None:
        return _objects(doc._.image_objects)
    return frozenset(_digest(one, images_root) for one in references(doc._.image))


def _objects(value: Any) -> Hashable:
    try:
        return json.dumps(write_objects(read_objects(value)))
    except ImageError:
        return repr(value)


def _digest(reference: Any, images_root: Path | None) -> str:
    try:
        return open_image(reference, images_root).digest
    except ImageError:
        return repr(reference)
