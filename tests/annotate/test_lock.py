"""What becomes of the processes of an experiment whose command is killed: real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy

from spacy_mner.annotate.lock import LOCK, alone

from ..conftest import gold_docs
from ..experiments.made import read_json, write_posts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks and signals")

# The command with two variants, on one core.
COMMAND = """
from dataclasses import replace
from spacy_mner.cli.app import main
from spacy_mner.experiments import plan
from spacy_mner.experiments.catalog import EXPERIMENTS
from spacy_mner.experiments.experiment import variant_of
variants = (variant_of("c"), variant_of("w"))
EXPERIMENTS["table1"] = replace(EXPERIMENTS["table1"], variants=variants)
plan.cores = lambda: 1
main()
"""
WORDS = [sys.executable, "-c", COMMAND, "experiment", "table1", "corpus", "out"]
WORDS += ["--seeds", "0", "--epochs", "12", "--workers", "1"]


def wait_for(there, seconds=120.0):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def lives(pid):
    """Whether a process is at work; one whose end nobody has asked for is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks /proc for children")
def test_after_a_kill_the_same_command_goes_on_and_no_orphan_writes(tmp_path):
    write_posts(tmp_path / "corpus", gold_docs(spacy.blank("en")))
    finished, unfinished = (tmp_path / "out" / name / "0" for name in ("c", "w"))
    command = subprocess.Popen(WORDS, cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: (unfinished / "log.jsonl").is_file())
    (orphan,) = children(command.pid)
    command.kill()
    command.wait()
    assert not (unfinished / "result.json").is_file()
    before = (finished / "result.json").stat().st_mtime_ns

    again = subprocess.run(WORDS, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not lives(orphan)
    assert "2 runs, 1 finished already" in again.stdout
    assert (finished / "result.json").stat().st_mtime_ns == before
    assert read_json(unfinished / "result.json")["training"]["epochs"] == 12
    # One process has written the log, from its first line to its last.
    assert len((unfinished / "log.jsonl").read_text().splitlines()) == 12
    assert "Not complete" not in (tmp_path / "out" / "table1.md").read_text()


def test_a_lock_lasts_as_long_as_a_child(tmp_path):
    code = "import time; time.sleep(2)"
    with alone(tmp_path, "experiment") as inherited:
        child = subprocess.Popen([sys.executable, "-S", "-c", code], pass_fds=inherited)
    # As if this process were gone.
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    (tmp_path / LOCK).write_text(str(gone.pid))
    with alone(tmp_path, "experiment"):
        child.wait(timeout=1)
