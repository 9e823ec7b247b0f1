"""Formatting of values and lists for messages, and scripts of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

# Items of a list that a message shows.
MAX_ITEMS = 5
# Characters of a value that a message quotes.
MAX_REPR = 60

# Pattern of a character of a script that is written without spaces between words: Thai, Lao,
# Tibetan, Burmese, Khmer, and the characters and punctuation of Chinese and Japanese.
UNSPACED = (
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3000-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]"
)

T = TypeVar("T")


def printable(text: str) -> str:
    """Escape non-printable characters, so that untrusted text cannot control the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 post" or "1,200 posts"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def short_repr(value: Any) -> str:
    """Return the repr of a value, truncated to MAX_REPR characters."""
    text = repr(value)
    return text if len(text) <= MAX_REPR else f"{text[: MAX_REPR - 1]}…"


def first_items(items: Sequence[T]) -> Sequence[T]:
    """Return the first MAX_ITEMS items."""
    return items[:MAX_ITEMS]


def remaining_items(items: Sequence[T]) -> str:
    """Return the number of items after the first MAX_ITEMS as text; "" if there are none."""
    return f"… and {len(items) - MAX_ITEMS:,} more" if len(items) > MAX_ITEMS else ""
