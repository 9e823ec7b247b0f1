"""Lookup of image names, with or without extension, and by the id of a post."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from ..images.decoding import image_suffixes

# The character after "_": an upper bound of all strings that begin with "_".
AFTER_UNDERSCORE = chr(ord("_") + 1)


class ImageNotFound(ValueError):
    """A reference that matches no image, or several; the message is the reason."""


class AllImagesOf(str):
    """The id of a post, as a reference to all images that are named `<id>` or `<id>_…`."""


def stem(name: str) -> str:
    """Return a name without the extension of an image; other dots are part of the name."""
    start, dot, suffix = name.rpartition(".")
    return start if dot + suffix.lower() in image_suffixes() else name


class NameIndex:
    """Finds a name exactly, or else by its stem if that is unambiguous.

    where: the file or folder that has the names, for messages.
    """

    def __init__(self, names: Iterable[str], where: Path) -> None:
        self._where = where
        self._exact: dict[str, str] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in names:
            key = normalize_name(name)
            self._exact[key] = name
            self._by_stem.setdefault(stem(key), []).append(name)
        self._stems = sorted(self._by_stem)

    def find(self, name: str) -> str:
        """Return the matching name. Raises ImageNotFound."""
        key = normalize_name(name)
        if key in self._exact:
            return self._exact[key]
        candidates = self._by_stem.get(key) or self._by_stem.get(stem(key), [])
        if not candidates:
            raise ImageNotFound(f"not found in {self._where}")
        if len(candidates) > 1:
            raise ImageNotFound(f"ambiguous: {', '.join(sorted(candidates))}")
        return candidates[0]

    def of_post(self, post_id: str) -> list[str]:
        """Return all names `<id>` or `<id>_…`, with any extension, sorted."""
        key = normalize_name(post_id)
        first, last = (bisect_left(self._stems, key + end) for end in ("_", AFTER_UNDERSCORE))
        stems = (key, *self._stems[first:last])
        return sorted(name for one in stems for name in self._by_stem.get(one, []))


def normalize_name(name: str) -> str:
    """Return the NFC form: file systems and archives differ in how they compose accents."""
    return unicodedata.normalize("NFC", name)
