"""Loading executes no code from files and opens no connection."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch

from spacy_mner.errors import LoadingError

from .pipelines import NAME, PARTS, change_manifest


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable, tuple[Path]]:
        return Path.touch, (self.trace,)


def test_a_pickle_in_place_of_any_file_is_never_run(saved, tmp_path):
    trace = tmp_path / "trace"
    plain = pickle.dumps(Bomb(trace))
    pickle.loads(plain)
    trace.unlink()  # the bomb works
    for path in [path for path in saved.rglob("*") if path.is_file()]:
        _check_harmless(saved, path, plain, trace)
    array, archive = tmp_path / "array.npy", tmp_path / "bomb.pt"
    np.save(array, np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    torch.save(Bomb(trace), archive)
    _check_harmless(saved, saved / "vocab" / "vectors", array.read_bytes(), trace)
    _check_harmless(saved, saved / NAME / "network.safetensors", archive.read_bytes(), trace)


def _check_harmless(saved: Path, path: Path, content: bytes, trace: Path) -> None:
    folder = shutil.copytree(saved, trace.with_name("model"), dirs_exist_ok=True)
    (folder / path.relative_to(saved)).write_bytes(content)
    with pytest.raises(Exception):  # noqa: B017 - spaCy's own files raise all sorts
        spacy.load(folder)
    assert not trace.exists(), path


def test_a_pickle_under_a_manifest_of_its_own_is_never_run(saved, tmp_path):
    """Who can write the parts can write a manifest for them: the parts must be harmless too."""
    trace = tmp_path / "trace"
    plain = pickle.dumps(Bomb(trace))
    component = spacy.load(saved).get_pipe(NAME)
    for name in PARTS:
        folder = shutil.copytree(saved / NAME, tmp_path / NAME, dirs_exist_ok=True)
        (folder / name).write_bytes(plain)
        change_manifest(folder, name)
        with pytest.raises(LoadingError, match=f"{name} does not match the config"):
            component.from_disk(folder, exclude=["vocab"])
        assert not trace.exists(), name


WATCHED = """
import sys

events = []
NETWORK = ["socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"]

def watch(event, _):
    if event in NETWORK or event.startswith("pickle.") or event == "import":
        events.append(event)

sys.addaudithook(watch)
import spacy
nlp = spacy.load(sys.argv[1])
loading = len(events)
doc = nlp.make_doc("hi Bob")
doc._.image = "car.png"
assert nlp(doc)._.image_status == "used"
assert "import" in events  # the hook works
print([e for e in events if e in NETWORK])
print([e for e in events[:loading] if e.startswith("pickle.")])
"""


@pytest.mark.slow
def test_loading_uses_neither_pickle_nor_the_network(saved):
    command = [sys.executable, "-c", WATCHED, str(saved)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["[]", "[]"]
