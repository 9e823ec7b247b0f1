"""Words and numbers as messages show them."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text of unknown origin, on one line that no terminal obeys: what does not print escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not one."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
