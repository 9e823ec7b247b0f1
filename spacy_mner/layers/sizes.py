"""Validation of sizes that come from a config."""

from __future__ import annotations


def check_sizes(layer: str, **sizes: int | None) -> None:
    """Raise ValueError for a size below 1; None is a size that is determined elsewhere.

    layer: its name in the message. sizes: by the names of their settings.
    """
    # Torch accepts a width of 0, and such a layer learns nothing.
    for setting, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{layer} needs {setting} to be at least 1, got {size}")
