"""The images of a report: made small, each once, with the tags that an encoder gives them."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..images.encoders.image_encoder import ImageEncoder
from ..images.reference import LazyImage, open_image, references, short_name

# What all images of a page may take, in bytes of JPEG.
BUDGET = 8 << 20
# Longest side and JPEG quality, the best first; the last is taken however large it comes out.
SIZES = ((480, 82), (480, 70), (360, 65), (240, 60))
N_TAGS = 5
# Decoded images that are in memory at once, each as large as its file says.
CHUNK = 8
OUTSIDE = "its file is outside the folder of images (--images-root)"

Tags = list[tuple[str, float]]


@dataclass(frozen=True)
class Thumbnail:
    """A small image. tags: what the encoder sees there, with probability; likeliest first."""

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

    places: the key of each, in order; None for one that cannot be shown.
    problems: why not.
    """

    places: list[str | None]
    problems: list[str]

    @property
    def keys(self) -> list[str]:
        """Of those that can be shown, each once."""
        return list(dict.fromkeys(key for key in self.places if key is not None))


def collect_images(
    references_of_posts: Sequence[Any],
    encoder: ImageEncoder | None,
    images_root: Path | None,
    below: Path | None = None,
) -> tuple[list[PostImages], dict[str, Thumbnail]]:
    """Make the images of posts small, each distinct one once.

    references_of_posts: `doc._.image` of each post.
    encoder: names what is seen; None: images have no tags.
    images_root: folder from which relative paths are taken.
    below: folder outside of which no file is shown, whatever a corpus names; None: all are.
    Returns the images of each post by key, and the thumbnails by key.
    """
    opened = [
        [_open(one, images_root, below) for one in references(image)]
        for image in references_of_posts
    ]
    distinct = {one[1].digest: one[1] for post in opened for one in post if one[1] is not None}
    shown, failed = _make_small(distinct, encoder)
    posts = []
    for post in opened:
        digests = [image.digest for _, image in post if image is not None]
        problems = [reason for reason, image in post if image is None]
        problems += [failed[digest] for digest in digests if digest in failed]
        found = [None if image is None else image.digest for _, image in post]
        places = [digest if digest in shown else None for digest in found]
        posts.append(PostImages(places, list(dict.fromkeys(problems))))
    return posts, shown


def without_folders(
    text: str, image: Any, images_root: Path | None, below: Path | None = None
) -> str:
    """Name files without their folders on this machine in what is said of a post's images.

    image, images_root, below: as for `collect_images`; a name within `below` keeps its folders.
    """
    for one in references(image):
        if isinstance(one, str | Path):
            path = _absolute(one, images_root)
            text = text.replace(short_name(path), short_name(_name(Path(one), below)))
    return text


def _name(path: Path, below: Path | None) -> Path:
    if not path.is_absolute():
        return path
    if below is not None and path.is_relative_to(below.absolute()):
        return path.relative_to(below.absolute())
    return Path(path.name)


def _absolute(path: str | Path, images_root: Path | None) -> Path:
    return ((images_root or Path()) / path).absolute()


def _open(
    reference: Any, images_root: Path | None, below: Path | None
) -> tuple[str, LazyImage | None]:
    """An image whose content can be read, or why there is none."""
    if below is not None and isinstance(reference, str | Path):
        # Without the dots: what is compared is what is opened, and links of the user lead on.
        reference = os.path.normpath(_absolute(reference, images_root))
        if not Path(reference).is_relative_to(os.path.abspath(below)):
            return OUTSIDE, None
    try:
        image = open_image(reference, images_root)
        image.digest  # noqa: B018  reads the file
    except ImageError as error:
        return str(error), None
    return "", image


def _make_small(
    images: dict[str, LazyImage], encoder: ImageEncoder | None
) -> tuple[dict[str, Thumbnail], dict[str, str]]:
    """Thumbnails of images, and the reasons why others have none."""
    allowed = BUDGET // max(1, len(images))
    shown: dict[str, Thumbnail] = {}
    failed: dict[str, str] = {}
    for chunk in _chunks(images.items()):
        decoded: dict[str, np.ndarray] = {}
        for key, image in chunk:
            try:
                decoded[key] = image.pixels()
            except ImageError as error:
                failed[key] = str(error)
        tags = _tags(list(decoded.values()), encoder)
        for (key, pixels), named in zip(decoded.items(), tags, strict=True):
            shown[key] = make_thumbnail(pixels, named, allowed)
    return shown, failed


def _chunks(items: Iterable[tuple[str, LazyImage]]) -> Iterable[list[tuple[str, LazyImage]]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _tags(images: list[np.ndarray], encoder: ImageEncoder | None) -> list[Tags]:
    return encoder.tags(images, k=N_TAGS) if encoder else [[] for _ in images]


def make_thumbnail(pixels: np.ndarray, tags: Tags, allowed: int) -> Thumbnail:
    """Make uint8 [h, w, 3] small: the best of SIZES that takes no more than `allowed` bytes."""
    for side, quality in SIZES:
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=quality, optimize=True)
        if buffer.tell() <= allowed:
            break
    return Thumbnail(buffer.getvalue(), *image.size, tags)
