"""A Ray cluster writes the same output, also if a worker is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.engines.ray import ray_data
from spacy_mner.annotate.run import ProgressCallbacks

from .conftest import interrupt, run

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


def worker_pids():
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"ray::MapWorker" in (process / "cmdline").read_bytes():
                pids.append(int(process.name))
    return pids


def test_an_interrupted_run_continues_on_ray_and_survives_the_kill_of_a_worker(
    cluster, task, posts, tmp_path, target, folder
):
    code = tmp_path / "code.py"
    code.write_text(f"open({str(tmp_path)!r} + '/imported', 'a').close()")
    task = replace(task, code=code)
    source = posts(6 * SIZE + 30)
    run(task, source, tmp_path / "whole.jsonl")
    (tmp_path / "imported").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(task, source, target, ray_data(2), callbacks=ProgressCallbacks(on_chunk=interrupt))
    assert len(list(folder.glob("*.chunk"))) == 1
    killed = []

    def kill_one(statistics):
        if not killed:
            killed.extend(worker_pids()[:1])
            os.kill(killed[0], signal.SIGKILL)

    run(task, source, target, ray_data(2), callbacks=ProgressCallbacks(on_chunk=kill_one))
    assert killed and target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "imported").exists()
