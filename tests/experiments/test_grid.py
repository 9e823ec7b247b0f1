"""The grid of runs, with a stand-in for the training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import spacy
from filelock import FileLock, Timeout

import grid
from spacy_mner.corpus.docbin import write_docs
from spacy_mner.errors import CorpusError, UsageError
from vectors import load_vectors

from ..conftest import gold_docs

# Writes a result with one correct entity per post; fails for seed 9; never ends for seed 8.
STAND_IN = """
import json, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
if job["seed"] == 9:
    sys.exit("no more memory")
while job["seed"] == 8:
    (folder / "started").touch()
    time.sleep(0.1)
names = ["ents_p", "ents_r", "ents_f", "segmentation_p", "segmentation_r", "segmentation_f"]
scores = dict.fromkeys(names, 0.5)
scores.update(posts=2, tokens=6, posts_with_image=0, image_status={})
job.update(scores={"on": scores}, counts=[[2, 2, 1], [2, 2, 1]], parameters=1000, tokens="gold")
job.update(seconds_per_epoch=[1, 2], cpu_seconds=60, machine="machine", time=time.time())
(folder / "result.json").write_text(json.dumps(job))
"""
COMMAND = (sys.executable, "-S", "-c", STAND_IN)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    docs = gold_docs(spacy.blank("en"))
    for split in ("train", "valid"):
        write_docs(docs, tmp_path / "corpus" / f"{split}.spacy")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, table="table1"):
    options = grid.parse([table, "corpus", "out", "--systems", "c,w", *words])
    return grid.run_table(options, COMMAND)


def results():
    return {str(path.parent): path.read_text() for path in Path("out").rglob("result.json")}


def test_a_finished_run_is_not_repeated_and_the_table_has_all_seeds(folder):
    assert run("--seeds", "0") == 0
    before = results()
    assert set(before) == {"out/c/0", "out/w/0"}
    assert run("--seeds", "1,0", "--note", "protocol strict") == 0
    after = results()
    assert len(after) == 4 and before.items() <= after.items()
    page = Path("out/table1.md").read_text()
    assert "| C | `c`: BiLSTM-CRF, CharBiLSTM | 2 | 50.0 ± 0.0 |" in page
    assert "| `w` − `c` | +0.0 | +0.0 … +0.0 | 1.000 | +36.1 |" in page
    for fact in ("corpus, split dev", "protocol strict", "tokens: gold", "seeds: 0, 1", "machine"):
        assert fact in page
    assert "grid.py table1 corpus out" in page and "Not complete" not in page


def test_an_interrupted_run_starts_over_and_the_table_has_systems_of_earlier_commands(folder):
    unfinished = Path("out/c/0")
    (unfinished / "model-last").mkdir(parents=True)
    (unfinished / "job.json").write_text("{}")
    assert run("--systems", "c") == run("--systems", "w") == 0
    assert not (unfinished / "model-last").exists() and (unfinished / "result.json").exists()
    page = Path("out/table1.md").read_text()
    assert "`c`:" in page and "`w`:" in page


def test_a_failed_run_is_reported_and_does_not_stop_the_others(folder, capsys):
    assert run("--seeds", "9,10") == 2
    assert set(results()) == {"out/c/10", "out/w/10"}
    assert "no more memory" in capsys.readouterr().out


def test_a_finished_run_with_other_settings_or_data_is_refused(folder):
    run()
    with pytest.raises(UsageError, match="max_epochs was 30, now 2"):
        run("--epochs", "2")
    write_docs(gold_docs(spacy.blank("en"))[:9], folder / "corpus" / "train.spacy")
    with pytest.raises(UsageError, match="train was"):
        run()


def test_a_folder_with_other_files_or_of_another_process_is_left_as_it_is(folder):
    other = folder / "out" / "c" / "0" / "thesis.tex"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(UsageError):
        run()
    assert other.exists()
    with FileLock("out/.lock"), pytest.raises(Timeout):
        run()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_termination_stops_the_runs_and_writes_the_page(folder):
    code = f"import grid; grid.run_table.__defaults__ = ({COMMAND!r},); grid.main()"
    words = ["table1", "corpus", "out", "--systems", "w", "--seeds", "0,8", "--workers", "1"]
    path = str(Path(grid.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([path, *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", code, *words], env=environment)
    while not Path("out/w/8/started").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 1
    assert "unfinished runs: 1" in Path("out/table1.md").read_text()
    Path("out/w/8/started").unlink()
    time.sleep(0.5)
    assert not Path("out/w/8/started").exists()


def test_systems_without_inputs_are_left_out(folder):
    options = grid.parse(["ablation", "corpus", "out", "--paths.encoder", "x"])
    runs, left_out = grid.plan(options)
    assert {run.job["variant"] for run in runs} >= {"trf-text", "trf-image"}
    assert set(left_out) >= {"trf-words", "trf-context"}
    with pytest.raises(CorpusError):
        grid.plan(grid.parse(["ablation", "corpus", "out", "--systems", "trf-context"]))


def test_table3_prunes_the_word_vectors(folder):
    nlp = spacy.blank("en")
    words = [f"word{i}" for i in range(400)]
    for word in words:
        nlp.vocab.set_vector(word, np.ones(2, np.float32))
    nlp.to_disk("vectors")
    with pytest.raises(UsageError):
        grid.plan(grid.parse(["table3", "corpus", "out"]))
    runs, _ = grid.plan(grid.parse(["table3", "corpus", "out", "--paths.vectors", "vectors"]))
    paths = dict.fromkeys(run.config["paths"]["vectors"] for run in runs)
    vocabs = [load_vectors(path).vocab for path in paths]
    kept = [set(filter(vocab.has_vector, words)) for vocab in vocabs]
    assert len(runs) == 8 and kept[0] == set(words)
    assert kept[0] > kept[1] > kept[2] > kept[3]
    assert [len(one) / 400 for one in kept[1:]] == pytest.approx([0.75, 0.5, 0.25], abs=0.06)
    asked = [json.dumps(run.job["identity"]) for run in runs]
    assert len(set(asked)) == 8


@pytest.mark.parametrize(
    "words", [["--systems", "trf-text"], ["--seeds", "a"], ["--epoch-count", "3"]]
)
def test_wrong_options_end_the_command(words):
    with pytest.raises(SystemExit):
        grid.parse(["table1", "corpus", "out", *words])
