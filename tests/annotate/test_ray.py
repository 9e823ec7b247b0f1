"""The same rows from a local Ray cluster, one of whose workers is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.engines import inline
from spacy_mner.annotate.engines.ray import ray_data
from spacy_mner.annotate.run import Listener, annotate
from spacy_mner.annotate.task import Task

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
N = 6 * SIZE + 30


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture
def task(model, images):
    return Task(model, images_root=images)


def workers():
    """Process ids of the workers of Ray Data."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"ray::MapWorker" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def test_ray_writes_the_same_bytes_though_a_worker_is_killed(cluster, task, posts, tmp_path):
    source = str(posts(N))
    annotate(task, source, str(tmp_path / "whole.jsonl"), inline)
    killed = []

    def kill_one(tally):
        if not killed:
            killed.extend(workers()[:1])
            os.kill(killed[0], signal.SIGKILL)

    target = tmp_path / "out.jsonl"
    tally = annotate(task, source, str(target), ray_data(2), listener=Listener(did=kill_one))
    assert killed and tally.posts == N
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_an_interrupted_run_goes_on_with_ray_and_ends_with_the_same_bytes(
    cluster, task, posts, tmp_path
):
    source, target = str(posts(2 * SIZE + 1)), tmp_path / "out.jsonl"
    annotate(task, source, str(tmp_path / "whole.jsonl"), inline)

    def interrupt(tally):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(task, source, str(target), ray_data(1), listener=Listener(did=interrupt))
    assert len(list((tmp_path / "out.jsonl.part").glob("*.part"))) == 1
    annotate(task, source, str(target), ray_data(1))
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
