"""Words of unknown origin, as messages show them."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text on one line that no terminal obeys: what does not print stands as its escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
