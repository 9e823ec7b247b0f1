from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.cli.experiment import parse_seeds
from spacy_mner.experiments import runner
from spacy_mner.experiments.catalog import EXPERIMENTS
from spacy_mner.experiments.experiment import variant_of

from ..conftest import gold_docs
from ..experiments.made import cells_of, write_posts


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Run table1 of a single system in a folder with a corpus."""
    monkeypatch.chdir(tmp_path)
    write_posts(tmp_path / "corpus", gold_docs(spacy.blank("en")))
    single = replace(EXPERIMENTS["table1"], variants=(variant_of("w"),))
    monkeypatch.setitem(EXPERIMENTS, "table1", single)

    def run(*arguments):
        return CliRunner().invoke(app, ["experiment", *arguments])

    return run


def test_a_run_is_trained_in_a_process_of_its_own_and_never_repeated(invoke, tmp_path, monkeypatch):
    arguments = ("table1", "corpus", "out", "--seeds", "0", "--epochs", "2")
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert "1 run, 0 finished already" in result.stdout
    assert "seed 0  starts, 1 of 1" in result.stdout
    assert "seed 0  F1" in result.stdout and "Wrote out/table1.md" in result.stdout
    assert cells_of((tmp_path / "out" / "table1.md").read_text(), "`w`: BiLSTM-CRF")[2] == "1"
    left = {path.name for path in (tmp_path / "out" / "w" / "0").iterdir()}
    assert left == {"job.json", "config.cfg", "train.log", "log.jsonl", "result.json"}

    monkeypatch.setattr(runner.subprocess, "Popen", None)
    again = invoke(*arguments)
    assert again.exit_code == 0 and "1 run, 1 finished already" in again.stdout
    kept = invoke(*arguments, "--keep-models")
    assert "finished without its model" in kept.stdout.replace("\n", " ")


def test_a_failing_run_ends_in_exit_code_1_with_the_table_written(invoke, tmp_path, monkeypatch):
    def fail(run):
        return [sys.executable, "-c", "raise MemoryError('too little')"]

    monkeypatch.setattr(runner, "command_of", fail)
    result = invoke("table1", "corpus", "out", "--seeds", "0")
    assert result.exit_code == 1
    assert "failed: MemoryError: too little (see out/w/0/train.log)" in result.stdout
    assert "1 run failed; the same command tries it again" in result.stdout
    assert "0 of 1 run finished" in (tmp_path / "out" / "table1.md").read_text()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_runs_and_the_same_command_goes_on(invoke, name, tmp_path, monkeypatch):
    processes = []

    def sleep(run):
        (tmp_path / "out" / "table1.md").unlink()  # to be written again
        threading.Timer(0.5, os.kill, (os.getpid(), getattr(signal, name))).start()
        return [sys.executable, "-c", "import time; time.sleep(60)"]

    def start(*arguments, popen=runner.subprocess.Popen, **given):
        processes.append(popen(*arguments, **given))
        return processes[-1]

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(runner, "command_of", sleep)
    monkeypatch.setattr(runner.subprocess, "Popen", start)
    result = invoke("table1", "corpus", "out", "--seeds", "0,1", "--workers", "1")
    assert result.exit_code == 130
    assert result.stderr.strip().startswith("Interrupted: the same command goes on")
    assert [process.returncode for process in processes] == [-signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
    assert "0 of 2 runs finished" in (tmp_path / "out" / "table1.md").read_text()


def test_a_seed_that_is_named_twice_is_run_once():
    assert parse_seeds("3,0,3,0") == (3, 0)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["table9", "corpus", "out"], "there is table1, table3, attention"),
        (["table1", "nowhere", "out"], "no train.spacy in nowhere"),
        (["table1", "corpus", "out", "--split", "test"], "no test.spacy"),
        (["table1", "corpus", "out", "--seeds", "one"], "numbers such as 0,1,2"),
        (["table1", "corpus", "out", "--setting", "old"], "modern, paper"),
        (["table3", "corpus", "out", "--vectors", ""], "--vectors"),
        (["table1", "corpus", "out", "--vectors", "corpus"], "no word vectors at corpus"),
        (["table1", "corpus", "out", "--gpu-id", "99"], "no GPU 99"),
        (["table1", "corpus", "out", "--encoder-weights", "x.pth"], "--setting paper"),
        (["table1", "corpus", "corpus/train.spacy"], "corpus/train.spacy"),
    ],
)
def test_a_mistake_ends_in_one_line_and_exit_code_1(invoke, arguments, reason):
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert reason in " ".join(result.stdout.split())
    assert "Traceback" not in result.output
