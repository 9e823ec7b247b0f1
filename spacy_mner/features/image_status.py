"""What became of the images of a post, in words: `doc._.image_status`."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence

from spacy.tokens import Doc

from ..errors import ImageError, ImageWarning
from ..extensions import IMAGE_ATTRIBUTES, has_value
from .batch import PostBatch

ABSENT = "absent"
USED = "used"
IN_PART = "used in part"
UNREADABLE = "unreadable"


def report(batch: PostBatch, i: int, n: int, failures: Sequence[ImageError]) -> None:
    """Say what became of the i-th post, for one modality; a failure that is new raises a warning.

    n: images (or what stands for one) that the modality looked at. failures: why some of them
        were not used.
    """
    known = batch.image_status[i]
    status = _merge(known, _status(n, failures))
    batch.image_status[i] = status
    if failures and status != known:
        warnings.warn(f"Image masked, {status}", ImageWarning, stacklevel=3)


def ignored(doc: Doc, read: Container[str]) -> str | None:
    """Say what a post brings of its image that no modality looks at; None where there is nothing.

    read: the attributes that modalities look at.
    """
    unread = [name for name in IMAGE_ATTRIBUTES if name not in read and has_value(doc, name)]
    return f"ignored: no modality reads {' or '.join(unread)}" if unread else None


def _status(n: int, failures: Sequence[ImageError]) -> str:
    if not n:
        return ABSENT
    if not failures:
        return USED
    reasons = "; ".join(dict.fromkeys(str(failure) for failure in failures))
    n_used = n - len(failures)
    return f"used {n_used} of {n}: {reasons}" if n_used else f"{UNREADABLE}: {reasons}"


def _merge(known: str, new: str) -> str:
    """What two modalities say of one post."""
    if known in ("", ABSENT):
        return new
    if new in (known, ABSENT):
        return known
    kinds, reasons = zip(*(one.partition(": ")[::2] for one in (known, new)), strict=True)
    together = IN_PART if USED in kinds else UNREADABLE
    kind = next((one for one in kinds if one.startswith(f"{USED} ")), together)
    return f"{kind}: {'; '.join(dict.fromkeys(filter(None, reasons)))}"
