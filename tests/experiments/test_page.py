"""What a page says beside its table."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.experiments import ablation, runner, table1
from spacy_mner.experiments.data import CorpusFolder
from spacy_mner.experiments.images import ImageFiles
from spacy_mner.experiments.page import command_line, cpu_minutes, write_page

from .made import make_options, make_runs, read_json

SIZE = {"posts": 40, "tokens": 400, "entities": 80, "posts_with_image": 39, "training_posts": 9}
CORPUS = CorpusFolder("tweets", {}, {}, frozenset({"image_features"}), SIZE)
POSTS = {0: [1, 0, 1, 0, 1], 1: [0, 0, 1, 1, 0]}


def page_of(options, runs, corpus=CORPUS, experiment=table1.EXPERIMENT):
    """The page and the facts in its JSON."""
    options.output.mkdir(exist_ok=True)
    write_page(experiment, options, corpus, runs)
    page = options.output / f"{experiment.name}.md"
    return page.read_text(), read_json(page.with_suffix(".json"))["facts"]


def test_the_page_says_what_its_figures_are_of(tmp_path):
    options = make_options(tmp_path, seeds=(0, 1), vectors="/home/me/glove", note="lenient")
    text, facts = page_of(options, make_runs(c=POSTS))
    for fact in (
        "tweets, split dev: 40 posts, 400 tokens, 80 entities, 39 posts with an image",
        "dev chose the epoch, so that figures on it are optimiztic",
        "note: lenient",
        "word vectors: glove",
        "setting modern, 30 epochs, seeds 0, 1",
        "Not complete: 2 of 16 runs",
        "spaCy 3.8, torch 2.6",
    ):
        assert fact in text
    assert "/home" not in text
    assert facts["size"] == SIZE


def test_a_page_of_transformers_names_the_text_encoder_also_where_nobody_did(tmp_path):
    for given, name in ((None, "all-MiniLM-L6-v2"), ("/home/me/bert", "bert")):
        options = make_options(tmp_path, encoder=given)
        text, facts = page_of(options, {}, experiment=ablation.EXPERIMENT)
        assert facts["encoder"].endswith(name) and f"- text encoder: {facts['encoder']}\n" in text
        assert "/home" not in text
    assert "text encoder" not in page_of(make_options(tmp_path), {})[0]


def test_the_page_says_what_became_of_the_images(tmp_path):
    runs = make_runs(wcv_attention=POSTS, w=POSTS)
    runs["w"][0]["scores"]["on"]["image_status"] = {"ignored": 5}
    options = make_options(tmp_path)
    assert "scored posts: 4 used, 0 unreadable, 0 absent\n" in page_of(options, runs)[0]
    status = {"unreadable": 3, "used": 1, "used in part": 1}
    runs["wcv-attention"][1]["scores"]["on"]["image_status"] = status
    text, facts = page_of(options, runs)
    assert "scored posts: 1 used, 3 unreadable, 0 absent, 1 used in part\n" in text
    assert facts["image_status"] == [{"used": 4}, status]


def test_the_page_says_how_many_images_are_missing(tmp_path):
    corpus = replace(CORPUS, images=ImageFiles("0", {"train": 1234, "dev": 5}))
    text, _ = page_of(make_options(tmp_path), make_runs(wcv_attention=POSTS), corpus)
    assert "image files that are missing: train 1,234, dev 5\n" in text
    assert "missing" not in page_of(make_options(tmp_path), make_runs(w=POSTS))[0]


def test_the_page_says_how_much_it_has_cost(tmp_path):
    # 30 epochs of 4 s and of 5 s: 2 and 2.5 minutes.
    runs = make_runs(w=POSTS, c={0: POSTS[0]})
    spent = cpu_minutes(runs)
    assert spent["runs"] == pytest.approx(2 + 2.5 + 2)
    assert spent["seed"] == pytest.approx((2 + 2.5) / 2 + 2)
    text, _ = page_of(make_options(tmp_path), runs)
    expected = "6.5 for 3 runs, 4.2 for one seed of 2 variants (training and evaluation on dev"
    assert expected in text


def test_the_cost_is_that_of_everything_where_all_results_know_it(tmp_path):
    runs = make_runs(w=POSTS)
    runs["w"][0]["cpu_seconds"] = 180.0
    assert not cpu_minutes(runs)["whole"]
    runs["w"][1]["cpu_seconds"] = 300.0
    text, _ = page_of(make_options(tmp_path), runs)
    assert "8.0 for 2 runs, 4.0 for one seed of 1 variant (everything)" in text


def test_the_page_says_what_was_not_run_and_why(tmp_path):
    experiment = replace(table1.EXPERIMENT, left_out={"trf-context": "posts with captions"})
    options = make_options(tmp_path)
    options.output.mkdir()
    write_page(experiment, options, CORPUS, {})
    text = (options.output / "table1.md").read_text()
    assert "- not run: `trf-context`, for want of posts with captions\n" in text


def test_the_page_names_the_precision_where_it_is_not_the_usual(tmp_path):
    options = make_options(tmp_path)
    assert "bfloat16" not in page_of(options, {})[0]
    text, _ = page_of(replace(options, mixed_precision=True), {})
    assert "- computed in bfloat16\n" in text


def test_a_page_is_complete_where_all_runs_that_were_asked_for_are_finished(tmp_path):
    options = make_options(tmp_path, seeds=(0, 1), systems=("c",))
    assert "Not complete" not in page_of(options, make_runs(c=POSTS))[0]
    assert "Not complete: 1 of 2 runs" in page_of(options, make_runs(c={0: POSTS[0]}))[0]
    # What an earlier call began belongs to the table.
    both = make_runs(c=POSTS, w={0: POSTS[0]})
    assert "Not complete: 3 of 4 runs" in page_of(options, both)[0]


def test_a_page_without_a_finished_run_has_no_cost(tmp_path):
    assert "CPU time" not in page_of(make_options(tmp_path), {})[0]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"epochs": None, "split": "test", "gpu_id": 0, "vectors": "words"},
        {
            "corpus": Path("/home/me/my tweets"),
            "images_root": Path("photos; ls"),
            "encoder_weights": Path("../it's/goog le.pth"),
            "setting": "paper",
            "vectors": "/x/glove",
            "encoder": "/home/me/mini lm",
            "systems": ("c", "wc-lample"),
            "workers": 2,
            "mixed_precision": True,
            "keep_models": True,
            "note": 'the "strict" protocol, $HOME & `more`',
        },
    ],
)
def test_the_command_on_the_page_asks_for_the_same(changed, tmp_path, monkeypatch):
    given = {"seeds": (0, 3), "corpus": Path("corpus"), "output": Path("out"), **changed}
    options = make_options(tmp_path, **given)
    asked = []
    monkeypatch.setattr(runner, "run_experiment", lambda *args: asked.append(args) or [])
    words = shlex.split(command_line("table1", options))
    result = CliRunner().invoke(app, words[1:])
    assert words[0] == "spacy-mner" and result.exit_code == 0, result.output
    shortened = {
        name: Path(path).name if str(path).startswith(("/", "..")) else path
        for name in ("corpus", "vectors", "encoder", "encoder_weights")
        if (path := getattr(options, name)) is not None
    }
    shortened |= {n: Path(shortened[n]) for n in ("corpus", "encoder_weights") if n in shortened}
    assert asked[0][:2] == (table1.EXPERIMENT, replace(options, **shortened))
