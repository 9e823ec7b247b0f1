"""Sizes that a config gives to the parts of a network."""

from __future__ import annotations


def check_sizes(part: str, **sizes: int | None) -> None:
    """Raise ValueError for a size below 1; None stands for a size that is found elsewhere.

    part: the name of what is built, for the message. sizes: by the names of their settings.
    """
    # Torch takes a width of 0, and such a part learns nothing.
    for setting, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"{part} needs {setting} to be at least 1, got {size}")
