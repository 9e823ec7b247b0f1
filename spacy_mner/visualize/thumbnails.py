"""Thumbnails of the images of a corpus: each distinct image once, with its visual tags."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from spacy.util import minibatch

from ..errors import ImageError
from ..images.encoders.image_encoder import ImageClassifier, ImageEncoder
from ..images.reference import LazyImage, open_image, references
from .private_paths import absolute_path

# JPEG bytes of all thumbnails of a page together.
MAX_PAGE_BYTES = 8 << 20
# (longest side, JPEG quality) by preference; the last is used whatever its size in bytes.
SIZES = ((480, 82), (480, 70), (360, 65), (240, 60))
N_TAGS = 5
# Images decoded at full size at once; bounds memory.
DECODE_BATCH = 8
OUTSIDE = "its file is outside the folder of images (--images-root)"

Tags = list[tuple[str, float]]


@dataclass(frozen=True)
class Thumbnail:
    """A JPEG. tags: classes predicted by the image encoder, with probabilities, descending."""

    jpeg: bytes
    width: int
    height: int
    tags: Tags

    @property
    def data_url(self) -> str:
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode('ascii')}"


@dataclass(frozen=True)
class PostImages:
    """The images of one post.

    keys: of each image in order, into the thumbnails; None for one that cannot be shown.
    problems: the reasons why.
    """

    keys: list[str | None]
    problems: list[str]

    @property
    def shown(self) -> list[str]:
        """The distinct keys of the images that can be shown."""
        return list(dict.fromkeys(key for key in self.keys if key is not None))


def collect_images(
    images: Sequence[Any],
    encoder: ImageEncoder | None,
    images_root: Path | None,
    allowed_folder: Path | None = None,
) -> tuple[list[PostImages], dict[str, Thumbnail]]:
    """Return the images of each post, and the thumbnails by key (the digest of the content).

    images: `doc._.image` of each post.
    encoder: a classifier predicts the tags; with any other, or None, there are none.
    images_root: folder that relative paths are resolved against.
    allowed_folder: files outside this folder are not opened (path traversal); None: all are.
    """
    opened = [
        [_open(reference, images_root, allowed_folder) for reference in references(image)]
        for image in images
    ]
    distinct = {
        image.digest: image for post in opened for image in post if isinstance(image, LazyImage)
    }
    thumbnails, errors = _make_thumbnails(distinct, encoder)
    posts = []
    for post in opened:
        problems = [image for image in post if isinstance(image, str)]
        digests = [image.digest if isinstance(image, LazyImage) else None for image in post]
        problems += [errors[digest] for digest in digests if digest in errors]
        keys = [digest if digest in thumbnails else None for digest in digests]
        posts.append(PostImages(keys, list(dict.fromkeys(problems))))
    return posts, thumbnails


def _open(reference: Any, images_root: Path | None, allowed_folder: Path | None) -> LazyImage | str:
    """Return an image whose content can be read, or the reason why it cannot."""
    if allowed_folder is not None and isinstance(reference, str | Path):
        # Normalized before symbolic links are followed: a link that the user made inside the
        # folder may lead out of it, ".." in a reference may not.
        reference = os.path.normpath(absolute_path(reference, images_root))
        if not Path(reference).is_relative_to(os.path.abspath(allowed_folder)):
            return OUTSIDE
    try:
        image = open_image(reference, images_root)
        image.digest  # noqa: B018  reads the file
    except ImageError as error:
        return str(error)
    return image


def _make_thumbnails(
    images: dict[str, LazyImage], encoder: ImageEncoder | None
) -> tuple[dict[str, Thumbnail], dict[str, str]]:
    """Return thumbnails, and the error messages of images that cannot be decoded, by key."""
    max_bytes = MAX_PAGE_BYTES // max(1, len(images))
    thumbnails: dict[str, Thumbnail] = {}
    errors: dict[str, str] = {}
    for batch in minibatch(images.items(), DECODE_BATCH):
        decoded: dict[str, np.ndarray] = {}
        for key, image in batch:
            try:
                decoded[key] = image.pixels()
            except ImageError as error:
                errors[key] = str(error)
        pixels = list(decoded.values())
        if isinstance(encoder, ImageClassifier):
            tags = encoder.tags(pixels, k=N_TAGS)
        else:
            tags = [[] for _ in pixels]
        for (key, array), image_tags in zip(decoded.items(), tags, strict=True):
            thumbnails[key] = make_thumbnail(array, image_tags, max_bytes)
    return thumbnails, errors


def make_thumbnail(pixels: np.ndarray, tags: Tags, max_bytes: int) -> Thumbnail:
    """Scale uint8 [h, w, 3] down to the first of SIZES whose JPEG fits into `max_bytes`."""
    for side, quality in SIZES:
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=quality, optimize=True)
        if buffer.tell() <= max_bytes:
            break
    return Thumbnail(buffer.getvalue(), *image.size, tags)
