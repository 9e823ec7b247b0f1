"""Processes that work for another one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """End this process, a child of `multiprocessing`, when its parent has ended, and not before.

    Ctrl-C interrupts every process of the terminal; the parent decides what it means.
    """
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _exit_with_parent() -> None:
    """Wait until the parent process has ended, even if it was killed, and exit."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
