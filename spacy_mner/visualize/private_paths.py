"""Removes the folders of this machine from what a page shows, since pages are shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..images.reference import references, short_name


def public_path(path: str | Path) -> str:
    """Return a relative path as given, and of any other path the last part."""
    text, path = Path(path).as_posix(), Path(path)
    return path.name if text.startswith(("/", "..", "~")) or path.drive else text


def redact_folders(
    message: str, image: Any, images_root: Path | None, allowed_folder: Path | None = None
) -> str:
    """Replace the paths of a post's images in a message by paths without private folders.

    image, images_root, allowed_folder: as for `collect_images`; a path within `allowed_folder`
        becomes relative to it.
    """
    for reference in references(image):
        if isinstance(reference, str | Path):
            path = absolute_path(reference, images_root)
            public = _public_image_path(Path(reference), allowed_folder)
            message = message.replace(short_name(path), short_name(public))
    return message


def absolute_path(path: str | Path, images_root: Path | None) -> Path:
    """Return the path of an image file, resolved against the images root."""
    return ((images_root or Path()) / path).absolute()


def _public_image_path(path: Path, allowed_folder: Path | None) -> Path:
    if not path.is_absolute():
        return path
    if allowed_folder is not None and path.is_relative_to(allowed_folder.absolute()):
        return path.relative_to(allowed_folder.absolute())
    return Path(path.name)
