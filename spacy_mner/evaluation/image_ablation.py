"""Image ablation: posts with their images, without images, or with shuffled images."""

from __future__ import annotations

import json
import random
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from spacy.tokens import Doc

from ..errors import CorpusError, ImageError, UsageError
from ..extensions import copy_image, drop_image, has_image, has_image_text
from ..images.image_objects import read_objects, write_objects
from ..images.reference import open_image, references

ImageCondition = Literal["on", "off", "shuffled"]
IMAGE_CONDITIONS: tuple[ImageCondition, ...] = get_args(ImageCondition)


class ShuffleError(CorpusError):
    """The posts have too few distinct images for each to receive another one."""


def set_images(
    docs: Sequence[Doc], images: ImageCondition, *, seed: int = 0, images_root: Path | None = None
) -> None:
    """Modify the images of Docs in place.

    images: "on" keeps them, "off" removes them, "shuffled" permutes them so that each post with an
        image receives a different one. Posts without an image stay without. Image text moves with
        the image; a post that has nothing but image text counts as one with an image.
    seed: of the permutation.
    images_root: folder of relative paths, so that one image under two names counts as one.

    Raises ShuffleError if there is no such permutation, UsageError for an unknown condition.
    """
    if images not in IMAGE_CONDITIONS:
        raise UsageError(f"images must be one of {', '.join(IMAGE_CONDITIONS)}, got {images!r}.")
    if images == "off":
        for doc in docs:
            drop_image(doc)
    elif images == "shuffled":
        shown = [doc for doc in docs if has_image(doc) or has_image_text(doc)]
        _shuffle(shown, seed, images_root)


def _shuffle(docs: Sequence[Doc], seed: int, images_root: Path | None) -> None:
    donors = derangement([_content(doc, images_root) for doc in docs], seed)
    # Copies, because the images of donors are overwritten in the loop.
    copies = [Doc(doc.vocab) for doc in docs]
    for doc, copy in zip(docs, copies, strict=True):
        copy_image(doc, copy)
    for doc, donor in zip(docs, donors, strict=True):
        copy_image(copies[donor], doc)


def derangement(keys: Sequence[Hashable], seed: int) -> list[int]:
    """Return a random permutation in which no position has an equal key.

    `keys[result[i]] != keys[i]` for all i. Raises ShuffleError if more than half of the keys are
    equal, so that there is no such permutation.
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
            "have the same one, so that at least one post would keep its own."
        )
    # Equal keys are adjacent: a shift by the size of the largest group leaves every group.
    grouped = [position for group in groups.values() for position in group]
    shifted = grouped[largest:] + grouped[:largest]
    return [donor for _, donor in sorted(zip(grouped, shifted, strict=True))]


def _content(doc: Doc, images_root: Path | None) -> Hashable:
    """Return a key that is equal for equal image content, independent of file names."""
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
