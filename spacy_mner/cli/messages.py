"""How commands speak to their user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from wasabi import msg

from ..corpus.errors import CorpusError

SHOWN = 5

T = TypeVar("T")


@contextmanager
def user_errors() -> Iterator[None]:
    """End the command with one line and exit code 1 for what its user can put right."""
    try:
        yield
    except (CorpusError, OSError) as error:
        msg.fail(str(error), exits=1)


def first(items: Sequence[T]) -> Sequence[T]:
    """The items that are shown on the screen; the rest is in the JSON file."""
    return items[:SHOWN]


def and_more(items: Sequence[T]) -> str:
    """Say how many items were not shown; empty where all were."""
    return f"… and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
