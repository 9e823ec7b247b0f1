"""How commands speak to their user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from wasabi import msg

from ..errors import MNERError
from ..utils.text import printable


@contextmanager
def user_errors(*, to_stderr: bool = False) -> Iterator[None]:
    """End the command with one line and exit code 1 for what its user can put right.

    to_stderr: where standard output may be the output of the command.
    """
    try:
        yield
    except (MNERError, OSError) as error:
        # It may quote a file of a stranger, such as the names of its columns.
        words = "\n".join(map(printable, str(error).split("\n")))
        if to_stderr:
            typer.echo(f"✘ {words}", err=True)
            raise typer.Exit(1) from None
        msg.fail(words, exits=1)


@contextmanager
def interruptible(rest: str) -> Iterator[None]:
    """End the command with one line and exit code 130 where it is interrupted or terminated.

    rest: what the same command goes on with.
    """
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Interrupted: the same command goes on, {rest}.", err=True)
        raise typer.Exit(130) from None
