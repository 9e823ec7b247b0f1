"""What a kill leaves of a checkpoint."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_pipeline
from spacy.util import load_config

import spacy_mner
from spacy_mner.training.checkpoints import atomic_checkpoints, save_atomically

from ..conftest import make_doc

TEMPLATE = Path(spacy_mner.__file__).parent / "templates" / "base.cfg"
# Of the interpreter, before the file system is changed.
CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def in_child(task: Callable[[], Any]) -> multiprocessing.process.BaseProcess:
    # Forked, so that a child is there at once.
    process: Any = multiprocessing.get_context("fork").Process(target=task)
    process.start()
    return process


def kill_at(change: int) -> None:
    """End this process like `kill -9`, before it changes the file system for the nth time."""
    seen = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in CHANGES and (event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            seen += 1
            if seen > change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def save_as_spacy_does(nlp: Language, output: Path) -> None:
    """`save_checkpoint` of spacy.training.loop, where the checkpoint is the best."""
    output.mkdir(exist_ok=True)
    atomic_checkpoints(nlp).to_disk(output / "model-last")
    if (output / "model-best").exists():
        shutil.rmtree(output / "model-best")
    shutil.copytree(output / "model-last", output / "model-best")


@pytest.mark.slow
@forking
def test_one_of_two_checkpoints_is_complete_whenever_a_save_is_killed(
    trained, tmp_path, monkeypatch
):
    # A power cut is not tested, and waiting for the disk is most of the time.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    output, before = tmp_path / "output", tmp_path / "before"
    save_as_spacy_does(trained, before)
    old = contents(before / "model-last")
    trained.meta["version"] = "9.9"
    save_as_spacy_does(trained, tmp_path / "after")
    new = contents(tmp_path / "after" / "model-last")
    assert old != new
    torn = {"model-best": 0, "model-last": 0}
    for change in range(1000):
        shutil.copytree(before, output)
        child = in_child(lambda: (kill_at(change), save_as_spacy_does(trained, output)))  # noqa: B023
        child.join()
        last, best = contents(output / "model-last"), contents(output / "model-best")
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        # model-last is replaced while model-best is complete, which is then copied from it.
        assert last == new or best == old
        assert last in (old, new, {})
        torn["model-best"] += best not in (old, new)
        torn["model-last"] += last == {}
        shutil.rmtree(output)
    assert last == best == new and set(os.listdir(output)) == {"model-best", "model-last"}
    assert torn["model-last"] == 1 and torn["model-best"] > len(old)


def test_a_partial_copy_of_model_best_is_refused_or_predicts_the_same(trained, tmp_path):
    save_as_spacy_does(trained, tmp_path)
    expected = predictions_of(tmp_path / "model-best")
    refused = set()
    for name in contents(tmp_path / "model-best"):
        for part in (None, 0.5):
            torn = tmp_path / "model-best" / name
            content = torn.read_bytes()
            torn.unlink()
            if part is not None:
                torn.write_bytes(content[: int(part * len(content))])
            found = predictions_of(tmp_path / "model-best")
            assert found in (None, expected)
            refused |= {name} if found is None else set()
            torn.write_bytes(content)
    assert {"config.cfg", "meta.json", "multimodal_ner/network.safetensors"} < refused


def test_the_remains_of_a_killed_save_are_removed(trained, tmp_path):
    for name in ("model-last.new", "model-last.old"):
        (tmp_path / name / "vocab").mkdir(parents=True)
    save_atomically(trained, tmp_path / "model-last")
    assert os.listdir(tmp_path) == ["model-last"]


def test_a_save_that_fails_leaves_the_existing_checkpoint(trained, tmp_path, monkeypatch):
    save_atomically(trained, tmp_path / "model-last")
    before = contents(tmp_path / "model-last")

    def fail(*arguments: Any, **settings: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(trained.get_pipe("multimodal_ner"), "to_disk", fail)
    with pytest.raises(OSError, match="No space"):
        save_atomically(trained, tmp_path / "model-last")
    assert os.listdir(tmp_path) == ["model-last"]
    assert contents(tmp_path / "model-last") == before


def test_the_hook_leaves_the_pipeline_as_it_is(trained, tmp_path):
    saved = atomic_checkpoints(trained)
    assert isinstance(saved, type(trained)) and saved is not trained
    saved.to_disk(tmp_path / "atomic", exclude=["vocab"])
    trained.to_disk(tmp_path / "plain", exclude=["vocab"])
    assert contents(tmp_path / "atomic") == contents(tmp_path / "plain") != {}


def test_weights_that_are_not_finite_are_not_saved(trained, tmp_path):
    save_atomically(trained, tmp_path / "model-last")
    before = contents(tmp_path / "model-last")
    with torch.no_grad():
        trained.get_pipe("multimodal_ner").model.shims[0].network.decode.start.fill_(torch.inf)
    with pytest.raises(ValueError, match=r"'multimodal_ner' are not finite.*is left as it is"):
        save_atomically(trained, tmp_path / "model-last")
    assert contents(tmp_path / "model-last") == before
    with pytest.raises(ValueError, match="is not written"):
        save_atomically(trained, tmp_path / "elsewhere")


def endless_training(corpus: Path) -> dict[str, Any]:
    """A config without end, that looks at dev and saves after every step."""
    config = load_config(TEMPLATE)
    config["paths"] |= {"train": str(corpus), "dev": str(corpus)}
    config["components"]["multimodal_ner"]["model"]["embed"]["image"] = None
    config["training"] |= {"max_epochs": 0, "max_steps": 0, "eval_frequency": 1}
    # Of equal scores spaCy takes the last for the best: it copies model-best every time.
    config["training"]["score_weights"] = {"ents_f": 0.0}
    config["training"]["logger"] |= {"progress_bar": None, "console_output": False}
    return config


def predictions_of(folder: Path) -> list[Any] | None:
    """The entities that the pipeline in a folder predicts, or None where it is not loaded."""
    try:
        nlp = spacy.load(folder)
    except (OSError, ValueError):
        return None
    doc = nlp(make_doc(nlp, ["hi", "Bob", "Dylan"]))
    return [(entity.text, entity.label_, entity._.score) for entity in doc.ents]


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.001)


@forking
def test_a_killed_training_leaves_a_model_that_predicts(corpus_path, tmp_path):
    nlp = init_nlp(endless_training(corpus_path))
    moments = random.Random(0)
    for kill in range(6):
        output = tmp_path / str(kill)
        output.mkdir()
        child = in_child(lambda: train_pipeline(nlp, output, stdout=io.StringIO()))  # noqa: B023
        wait_for(output / "model-best" / "config.cfg")
        if kill % 2:
            wait_for(output / "model-last.new")
        time.sleep(moments.uniform(0, 0.2))
        child.kill()
        child.join()
        assert any(
            predictions_of(output / name) is not None for name in ("model-best", "model-last")
        )


@pytest.mark.slow
def test_an_interrupted_training_leaves_no_temporary_folders(corpus_path, tmp_path):
    endless_training(corpus_path).to_disk(tmp_path / "endless.cfg")
    command = [sys.executable, "-m", "spacy", "train", "endless.cfg", "--output", "output"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_for(tmp_path / "output" / "model-best" / "config.cfg")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) in (1, 130)
    finally:
        process.kill()  # It would be at work for ever.
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert sorted(os.listdir(tmp_path / "output")) == ["model-best", "model-last"]
    assert predictions_of(tmp_path / "output" / "model-last") is not None
