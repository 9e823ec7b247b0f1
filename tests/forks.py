"""Work in a forked child."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable


def in_forked_child(work: Callable[[], object]) -> bool:
    """Whether `work` ends without an error in a forked child, within a minute."""
    with warnings.catch_warnings():
        # Python 3.12 warns of forks while other threads run, which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends it also where it waits with the lock of the interpreter
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
