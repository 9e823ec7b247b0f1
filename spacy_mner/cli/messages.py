"""How commands speak to their user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wasabi import msg

from ..corpus.errors import CorpusError


@contextmanager
def user_errors() -> Iterator[None]:
    """End the command with one line and exit code 1 for what its user can put right."""
    try:
        yield
    except (CorpusError, OSError) as error:
        msg.fail(str(error), exits=1)


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not one."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
