"""The images of a chunk, opened before it is annotated."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import ImageError
from ..images.reference import BytesImage, FileImage, LazyImage, file_version
from ..images.safety.untrusted_references import BulkImages
from ..images.safety.web_images import WebImages
from ..utils.atomic_file import atomic_file
from .chunks import Chunk, Row, too_deep
from .task import Task

# Of one post; more have no meaning, and cost time and memory each.
MOST_IMAGES = 32
# How folders of fetched images begin.
FETCHED = "spacy-mner-"
# Images that are fetched side by side: what takes time is waiting for others.
FETCHED_AT_ONCE = 16

_WRITING = Lock()

Opened = list[LazyImage | ImageError]


@dataclass(frozen=True)
class OpenedChunk:
    """The images of each row of a chunk.

    fetched: folder of those that came from elsewhere, so that they are not in memory; None where
        none is fetched.
    """

    images: list[Opened]
    fetched: tempfile.TemporaryDirectory | None

    def close(self) -> None:
        """Forget what was fetched."""
        if self.fetched is not None:
            self.fetched.cleanup()


class ImageOpener:
    """Opens the images of rows: those below a folder, and by URL where the task allows it.

    scratch: folder for images that are fetched; the temporary one where it is None, or is not
        on this machine.
    """

    def __init__(self, task: Task, scratch: Path | None = None) -> None:
        self.column = task.columns.image
        self.scratch = scratch
        self.source = BulkImages(task.images_root, WebImages() if task.allow_urls else None)

    def open(self, chunk: Chunk) -> OpenedChunk:
        """Open (or fetch) images; their pixels are not in memory afterwards."""
        if self.source.web is None:
            return OpenedChunk([self._open(row, None) for row in chunk.rows], None)
        scratch = self.scratch if self.scratch and self.scratch.is_dir() else None
        fetched = tempfile.TemporaryDirectory(prefix=FETCHED, dir=scratch)
        folder = Path(fetched.name)
        with ThreadPoolExecutor(FETCHED_AT_ONCE, "fetch") as threads:
            images = list(threads.map(lambda row: self._open(row, folder), chunk.rows))
        return OpenedChunk(images, fetched)

    def _open(self, row: Row, folder: Path | None) -> Opened:
        references = references_of(row.values.get(self.column))
        if len(references) > MOST_IMAGES:
            return [ImageError(f"{len(references):,} images, limit {MOST_IMAGES}")]
        return [self._open_one(reference, folder) for reference in references]

    def _open_one(self, reference: Any, folder: Path | None) -> LazyImage | ImageError:
        try:
            image = self.source.open(reference)
            if folder is not None and isinstance(image, BytesImage):
                image = _on_disk(image, folder)
            _ = image.digest  # reads the file, which is remembered
            return image
        # Anew: the one that was raised holds on to the content of the file by its traceback. And
        # anything else: no reference of a stranger may end the run.
        except Exception as error:
            known = isinstance(error, ImageError)
            return ImageError(str(error) if known else f"{type(error).__name__}: {error}"[:200])


def references_of(cell: Any) -> list[Any]:
    """The references in a cell: none, one, or a list of them, in CSV as JSON."""
    if cell is None or cell == "":
        return []
    value = from_json(cell)
    return [one for one in value if one is not None] if isinstance(value, list) else [value]


def from_json(cell: Any) -> Any:
    """What a cell of CSV holds that is a list; anything else as it is."""
    if not isinstance(cell, str) or not cell.startswith("["):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell  # a file may be called so
    return cell if too_deep(value) else value


def _on_disk(image: BytesImage, folder: Path) -> FileImage:
    path = folder / image.digest
    # What several posts show is written once: a file that was opened must not change any more.
    with _WRITING:
        if not path.exists():
            with atomic_file(path, lasting=False) as file:
                file.write(image.content)
    return FileImage(path, file_version(path, path, image.limits), image.limits)
