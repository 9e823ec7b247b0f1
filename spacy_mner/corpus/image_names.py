"""Names of images: which one is meant, and which belong to a post."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")

# What sorts directly after all that begins with "_".
AFTER_LOW_LINE = chr(ord("_") + 1)


class NoImage(ValueError):
    """Why a reference leads to no image, in words for the user."""


class AllImagesOf(str):
    """The id of a post, standing for all images that are named `<id>` or `<id>_…`."""


def stem(name: str) -> str:
    """A name without an image's extension; other dots belong to the name."""
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


class Names:
    """Looks a name up as it is, else without its extension. No guessing between two."""

    def __init__(self, names: Iterable[str]) -> None:
        self._exact: dict[str, str] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in names:
            key = normal(name)
            self._exact[key] = name
            self._by_stem.setdefault(stem(key), []).append(name)
        self._stems = sorted(self._by_stem)

    def find(self, name: str) -> str:
        """Find the one that is meant; raises NoImage."""
        key = normal(name)
        if key in self._exact:
            return self._exact[key]
        candidates = self._of(stem(key))
        if not candidates:
            raise NoImage("not there")
        if len(candidates) > 1:
            raise NoImage(f"could be any of {', '.join(sorted(candidates))}")
        return candidates[0]

    def of_post(self, post_id: str) -> list[str]:
        """Find all that are called `<id>` or `<id>_…`, sorted."""
        key = normal(post_id)
        first, last = (bisect_left(self._stems, key + end) for end in ("_", AFTER_LOW_LINE))
        return sorted(name for one in (key, *self._stems[first:last]) for name in self._of(one))

    def _of(self, key: str) -> list[str]:
        return self._by_stem.get(key, [])


def normal(name: str) -> str:
    """Write a name as it is compared."""
    # File systems and archives disagree on how to compose accents and Korean syllables.
    return unicodedata.normalize("NFC", name)
