"""The learning curve of a pretrained pipeline, with a stand-in for the training and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from spacy.util import dict_to_dot

import learning_curve
from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.errors import LoadingError, UsageError

from .test_grid import COMMAND

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, trained, monkeypatch):
    """Twenty posts of the sample corpus and a small pipeline."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "dev"):
        lines = (ROOT / "assets" / f"{split}.jsonl").read_text("utf-8").splitlines()[:20]
        Path(f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        options = Options(images_root=ROOT / "assets")
        convert(Path(f"{split}.jsonl"), Path(f"{split}.spacy"), options)
    trained.to_disk("model")
    return tmp_path


def parse(*words, pipeline="model"):
    config = str(ROOT / "configs" / "mner.cfg")
    return learning_curve.parse([pipeline, config, "train.spacy", "dev.spacy", "out", *words])


def results():
    return {str(path.parent): path.read_text() for path in Path("out").rglob("result.json")}


def texts(part):
    return {doc.text for doc in read_docs(Path(f"out/parts/{part}.spacy"), spacy.blank("en").vocab)}


def test_parts_are_nested_and_drawn_with_the_seed(folder):
    learning_curve.plan(parse("--sizes", "4,10,0", "--seeds", "0,1"))
    for seed in (0, 1):
        assert texts(f"4-{seed}") < texts(f"10-{seed}") < texts(f"20-{seed}")
    assert texts("20-0") == texts("20-1") and texts("10-0") != texts("10-1")
    assert len(texts("10-0")) == 10


def test_both_systems_have_the_same_corpora_and_steps(folder):
    runs = learning_curve.plan(parse("--sizes", "4,0,500", "--epochs", "50", "--min-steps", "30"))
    assert [str(run.folder) for run in runs] == [
        f"out/{system}-{size}/0" for size in (20, 4) for system in ("pretrained", "scratch")
    ]
    same = ("paths.train", "paths.dev", "training.eval_frequency", "corpora.train.image_dropout")
    for run, other in (runs[:2], runs[2:]):
        assert all(
            dict_to_dot(run.config)[name] == dict_to_dot(other.config)[name] for name in same
        )
    # One batch per epoch: 50 epochs of 20 posts, and at least 30 steps of 4 posts.
    assert [run.job["epochs"] for run in runs] == [50] * 4
    assert [run.config["training"]["max_steps"] for run in runs] == [50, 0, 50, 0]


def test_a_finished_run_is_not_repeated_and_the_page_has_a_row_per_size(folder):
    words = ["--sizes", "4,0", "--note", "protocol strict"]
    assert learning_curve.run_curve(parse(*words), COMMAND) == 0
    before = results()
    assert learning_curve.run_curve(parse(*words, "--seeds", "0,1"), COMMAND) == 0
    after = results()
    assert len(before) == 4 and len(after) == 8 and before.items() <= after.items()
    page = Path("out/learning_curve.md").read_text()
    for size in (4, 20):
        assert f"| {size} | 50.0 ± 0.0 | 50.0 ± 0.0 | +0.0 |" in page
    assert "protocol strict" in page and "seeds: 0, 1" in page and "Not complete" not in page
    assert Path("out/learning_curve.svg").read_text().count("training posts")
    with pytest.raises(UsageError, match="max_steps"):
        learning_curve.run_curve(parse(*words, "--epochs", "700"), COMMAND)


def test_a_missing_pipeline_is_refused(folder):
    with pytest.raises(LoadingError, match="nowhere"):
        learning_curve.run_curve(parse(pipeline="nowhere"), COMMAND)
    with pytest.raises(SystemExit):
        parse("--sizes", "few")


@pytest.mark.slow
def test_both_systems_are_trained_and_scored(folder):
    words = ["--sizes", "10", "--epochs", "2", "--min-steps", "2", "--workers", "1"]
    words += ["--paths.images_root", str(ROOT / "assets")]
    assert learning_curve.run_curve(parse(*words)) == 0
    for system in ("pretrained", "scratch"):
        result = json.loads(Path(f"out/{system}-10/0/result.json").read_text())
        assert result["training_posts"] == 10 and set(result["scores"]) == {"on"}
        assert result["scores"]["on"]["posts"] == 20
