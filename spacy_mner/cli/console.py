"""Error messages and exit codes of commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ..errors import MNERError
from ..utils.text import printable


@contextmanager
def user_errors() -> Iterator[None]:
    """Print an error that the user can fix as one message on standard error; exit with code 1."""
    try:
        yield
    except (MNERError, OSError) as error:
        # The message can quote untrusted input, such as the column names of a file.
        message = "\n".join(map(printable, str(error).split("\n")))
        typer.echo(f"✘ {message}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def interruptible(remaining: str) -> Iterator[None]:
    """Print one line and exit with code 130 if the command is interrupted or terminated.

    remaining: what the command continues with when it is run again, such as "with the remaining
        posts".
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Interrupted: run the same command again to continue {remaining}.", err=True)
        raise typer.Exit(130) from None
