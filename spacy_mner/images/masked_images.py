"""Warnings of images that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ImageWarning
from ..utils.caller import warn_caller


class MaskedImageWarnings:
    """Issues one ImageWarning per kind of reason over the lifetime of a component. Thread-safe."""

    def __init__(self) -> None:
        self._warned: dict[str, object] = {}

    def __call__(self, reasons: Iterable[str], remark: str = "") -> None:
        """Warn of reasons why images are masked. The kind of a reason precedes its colon."""
        for reason in reasons:
            first = object()
            # setdefault is atomic: of several threads, only one gets its own object back.
            if self._warned.setdefault(reason.partition(":")[0], first) is first:
                warn_caller(
                    f"Image masked: {reason}. This is the only warning of this kind{remark}.",
                    ImageWarning,
                )
