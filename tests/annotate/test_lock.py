"""The lock of a folder, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spacy_mner.annotate.lock import LOCK, alone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks and signals")


def test_a_lock_lasts_as_long_as_a_child(tmp_path):
    code = "import time; time.sleep(2)"
    with alone(tmp_path, "annotation") as inherited:
        child = subprocess.Popen([sys.executable, "-S", "-c", code], pass_fds=inherited)
    # As if this process were gone.
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    (tmp_path / LOCK).write_text(str(gone.pid))
    with alone(tmp_path, "annotation"):
        child.wait(timeout=1)
