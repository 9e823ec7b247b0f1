"""Opens the images of a chunk before it is annotated."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import ImageError
from ..images.reference import BytesImage, FileImage, LazyImage, file_version
from ..images.safety.untrusted_references import BulkImages
from ..images.safety.web_images import WebImages
from ..utils.atomic_file import atomic_file
from .chunks import Chunk, Row, is_too_deep
from .task import Task

# Images of one post: each costs time and memory.
MAX_IMAGES = 32
# Prefix of the names of temporary folders for fetched images.
FETCHED = "spacy-mner-"
FETCH_THREADS = 16

_write_lock = Lock()

Images = list[LazyImage | ImageError]


@dataclass(frozen=True)
class OpenedImages:
    """The images of a chunk.

    by_row: the images of each row.
    fetched: their temporary folder, which is deleted when its context ends.
    """

    by_row: list[Images]
    fetched: AbstractContextManager[Any]


class ImageOpener:
    """Opens the image files of rows, and fetches URLs if the task allows it.

    scratch: parent folder of the temporary folders of fetched images; the system's own if it is
        None or does not exist on this machine.
    """

    def __init__(self, task: Task, scratch: Path | None = None) -> None:
        self.column = task.columns.image
        self.scratch = scratch
        limits = task.image_limits
        web = WebImages(limits) if task.allow_urls else None
        self.source = BulkImages(task.images_root, web, limits)

    def open(self, chunk: Chunk) -> OpenedImages:
        """Open (or fetch) the images of a chunk without keeping their pixels in memory."""
        if self.source.web is None:
            return OpenedImages([self._open_row(row, None) for row in chunk.rows], nullcontext())
        scratch = self.scratch if self.scratch and self.scratch.is_dir() else None
        fetched = tempfile.TemporaryDirectory(prefix=FETCHED, dir=scratch)
        folder = Path(fetched.name)
        with ThreadPoolExecutor(FETCH_THREADS, "fetch") as threads:
            by_row = list(threads.map(lambda row: self._open_row(row, folder), chunk.rows))
        return OpenedImages(by_row, fetched)

    def _open_row(self, row: Row, folder: Path | None) -> Images:
        references = references_of(row.values.get(self.column))
        if len(references) > MAX_IMAGES:
            return [ImageError(f"too many images: {len(references):,}, limit {MAX_IMAGES}")]
        return [self._open_image(reference, folder) for reference in references]

    def _open_image(self, reference: Any, folder: Path | None) -> LazyImage | ImageError:
        try:
            image = self.source.open(reference)
            if folder is not None and isinstance(image, BytesImage):
                image = _write_to(folder, image)
            _ = image.digest  # reads the file once and caches the digest
            return image
        # No exception raised for a reference may end the run. A new exception is returned, as
        # the traceback of the original keeps the content of the file in memory.
        except Exception as error:
            is_known = isinstance(error, ImageError)
            return ImageError(str(error) if is_known else f"{type(error).__name__}: {error}"[:200])


def references_of(cell: Any) -> list[Any]:
    """The image references in a cell: none, one, or a list of them."""
    value = parse_cell(cell)
    return [item for item in (value if isinstance(value, list) else [value]) if item is not None]


def parse_cell(cell: Any) -> Any:
    """The value of a cell: None if empty, and parsed if it is a JSON list or object, as in CSV."""
    if not isinstance(cell, str) or not cell.startswith(("[", "{")):
        return None if cell == "" else cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell  # not JSON; may be a file name
    return cell if is_too_deep(value) else value


def _write_to(folder: Path, image: BytesImage) -> FileImage:
    path = folder / image.digest
    # An image of several posts is written once: a file must not change after it was opened.
    with _write_lock:
        if not path.exists():
            with atomic_file(path, durable=False) as file:
                file.write(image.content)
    return FileImage(path, file_version(path, path, image.limits), image.limits)
