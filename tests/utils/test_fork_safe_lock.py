from __future__ import annotations

import os
import threading

import pytest

from spacy_mner.utils.fork_safe_lock import ForkSafeLock

from ..forks import in_forked_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def acquire(lock):
    with lock:
        pass


def test_a_lock_that_is_held_is_free_in_a_forked_child_and_still_held_here():
    lock = ForkSafeLock()
    with lock:
        assert in_forked_child(lambda: acquire(lock))
        other = threading.Thread(target=acquire, args=[lock], daemon=True)
        other.start()
        other.join(0.2)
        assert other.is_alive()
    other.join(60)
    assert not other.is_alive()
