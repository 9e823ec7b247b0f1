"""ImageStatus: what became of the images of one post; `doc._.image_status` holds it as a string."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from spacy.tokens import Doc

from ..errors import ImageError
from ..extensions import IMAGE_ATTRIBUTES, has_value

Kind = Literal["used", "absent", "unreadable", "ignored"]

USED: Kind = "used"
ABSENT: Kind = "absent"
UNREADABLE: Kind = "unreadable"
IGNORED: Kind = "ignored"

IN_PART = "used in part"
COUNTED = re.compile(r"used (\d+) of (\d+)")


@dataclass(frozen=True)
class ImageStatus:
    """What became of the images of one post.

    kind: "used" (all or some), "absent", "unreadable" (none could be used) or "ignored" (no
        modality of the model reads them).
    used, total: number of images used, of how many; 0 unless only some were used.
    reasons: why images were not used. With kind "used" and no counts, one modality used all
        images and another could not use some.
    """

    kind: Kind
    used: int = 0
    total: int = 0
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, total: int, failures: Sequence[ImageError]) -> ImageStatus:
        """Return the status of a post for one modality that read `total` images."""
        reasons = tuple(dict.fromkeys(map(str, failures)))
        used = total - len(failures)
        if not total:
            return cls(ABSENT)
        if not failures:
            return cls(USED)
        return cls(USED, used, total, reasons) if used else cls(UNREADABLE, reasons=reasons)

    @classmethod
    def parse(cls, text: str) -> ImageStatus:
        """Return the status that `str` wrote. Raises ValueError for any other string."""
        name, _, rest = text.partition(": ")
        reasons = tuple(rest.split("; ")) if rest else ()
        if counts := COUNTED.fullmatch(name):
            return cls(USED, int(counts[1]), int(counts[2]), reasons)
        kind = USED if name == IN_PART else name
        if kind not in (USED, ABSENT, UNREADABLE, IGNORED):
            raise ValueError(f"{text!r} is not an image status")
        return cls(kind, reasons=reasons)

    @property
    def category(self) -> str:
        """The kind, with "used in part" apart from "used": the status without its details."""
        return IN_PART if self.kind == USED and self.reasons else self.kind

    def merge(self, other: ImageStatus) -> ImageStatus:
        """Combine the statuses that two modalities have for one post."""
        if ABSENT in (self.kind, other.kind):
            return other if self.kind == ABSENT else self
        reasons = tuple(dict.fromkeys(self.reasons + other.reasons))
        for one in (self, other):
            if one.total:
                return replace(one, reasons=reasons)
        kind = USED if USED in (self.kind, other.kind) else UNREADABLE
        return ImageStatus(kind, reasons=reasons)

    def __str__(self) -> str:
        name = f"used {self.used} of {self.total}" if self.total else self.category
        return f"{name}: {'; '.join(self.reasons)}" if self.reasons else name


def ignored_status(doc: Doc, read: Container[str]) -> ImageStatus | None:
    """Return the status of a post whose image attributes no modality reads, None if it has none.

    read: the attributes that the modalities of the model read.
    """
    if "image_objects" in read and doc._.image_objects is not None:
        return None  # An image without objects was read by a detector.
    unread = [name for name in IMAGE_ATTRIBUTES if name not in read and has_value(doc, name)]
    if not unread:
        return None
    return ImageStatus(IGNORED, reasons=(f"no modality reads {' or '.join(unread)}",))
