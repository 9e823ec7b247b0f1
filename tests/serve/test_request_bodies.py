from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import HTTPException

from spacy_mner.serve.request_bodies import parse_json

from .hostile_bodies import BODIES, N_BYTES


class Watched:
    """A process that reads hostile bodies."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.memory = Path(f"/proc/{process.pid}/statm")

    def resident_bytes(self) -> int:
        return int(self.memory.read_text().split()[1]) * 4096

    def send(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read(self, kind: str) -> tuple[int, float, int]:
        """The status, the seconds and the bytes of memory that a body takes."""
        self.send(kind)
        assert self.process.stdout.readline() == "ready\n"
        before = peak = self.resident_bytes()
        self.send("")
        while not select.select([self.process.stdout], [], [], 0.002)[0]:
            peak = max(peak, self.resident_bytes())
        status, seconds = self.process.stdout.readline().split()
        return int(status), float(seconds), peak - before


@pytest.fixture(scope="module")
def watched():
    command = [sys.executable, "-m", "tests.serve.hostile_bodies"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as process:
        yield Watched(process)
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is found in /proc")
@pytest.mark.parametrize("kind", BODIES)
def test_a_hostile_body_is_refused_in_little_time_and_memory(watched, kind):
    status, seconds, n_bytes = watched.read(kind)
    assert 400 <= status < 500
    assert seconds < 5
    assert n_bytes < 15 * N_BYTES


@pytest.mark.parametrize(
    ("body", "n_values"),
    [
        (b"[1, 2]", 2),
        (b'["[,{", 2]', 2),
        (rb'["\"[,{", 2]', 2),
        (rb'["\\", [], {}]', 5),
        (rb'["\\\"[,", "\n\\"]', 2),
    ],
)
def test_values_are_counted_outside_strings(body, n_values):
    parse_json(body, n_values)
    with pytest.raises(HTTPException, match="Too many values") as caught:
        parse_json(body, n_values - 1)
    assert caught.value.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 1000 + b"]" * 1000, b'"\xff"', rb'"\ud800"'])
def test_json_that_is_invalid_or_too_deep_is_refused(body):
    with pytest.raises(HTTPException, match="The JSON is invalid") as caught:
        parse_json(body)
    assert caught.value.status_code == 422
