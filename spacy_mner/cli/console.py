"""Error messages and exit codes of commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from wasabi import msg

from ..errors import MNERError
from ..utils.text import printable


@contextmanager
def user_errors(*, to_stderr: bool = False) -> Iterator[None]:
    """Print an error that the user can fix as one message and exit with code 1.

    to_stderr: for a command whose output can be standard output.
    """
    try:
        yield
    except (MNERError, OSError) as error:
        # The message can quote untrusted input, such as the column names of a file.
        message = "\n".join(map(printable, str(error).split("\n")))
        if to_stderr:
            typer.echo(f"✘ {message}", err=True)
            raise typer.Exit(1) from None
        msg.fail(message, exits=1)


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
