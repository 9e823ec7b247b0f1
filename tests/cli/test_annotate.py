from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import warnings

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app

CODE = """
from spacy.language import Language

@Language.component("sets_status")
def sets_status(doc):
    doc._.image_status = "unreadable: no such file" if doc._.image else "absent"
    return doc
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "CAT", "pattern": "puma"}])
    nlp.to_disk("model")
    lines = ['{"text": "a puma 🐈"}', "{", '{"text": "nobody"}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "quotes.tsv").write_text('text\n"a puma\n')

    def annotate(*arguments):
        return CliRunner().invoke(app, ["annotate", *arguments])

    return annotate


def test_posts_are_annotated_and_counted(run, tmp_path):
    (tmp_path / "good.jsonl").write_text('{"text": "a puma"}\n{"text": "nobody"}\n')
    result = run("model", "good.jsonl", "new/out.jsonl")
    assert result.exit_code == 0, result.output
    assert "2 posts in new/out.jsonl" in result.stderr and "CAT 1" in result.stderr
    first, second = map(json.loads, (tmp_path / "new" / "out.jsonl").read_text().splitlines())
    assert first["entities"][0]["text"] == "puma" and second["entities"] == []


def test_failed_posts_are_listed_and_have_their_own_exit_code(run, tmp_path):
    result = run("model", "in.jsonl", "out.csv")
    assert result.exit_code == 3
    assert "1 post failed" in result.stderr and "row 2: not a line of JSON" in result.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ["a puma 🐈", "", "nobody"]
    assert [bool(row["error"]) for row in rows] == [False, True, False]


def test_control_characters_of_rows_and_columns_are_escaped(run, tmp_path):
    evil = "\x1b]0;pwn\x07\x9b31m\u202e"
    row = json.dumps({"text": "a", evil: 1})
    (tmp_path / "in.jsonl").write_text(f"[1] {evil}\n{row}", encoding="utf-8")
    failed = run("model", "in.jsonl", "out.jsonl").stderr
    refused = run("model", "in.jsonl", "other.jsonl", "--image", "photo").stderr
    for stderr in (failed, refused):
        assert r"\x1b]0;pwn\x07\x9b31m\u202e" in stderr
        assert stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("nowhere", "in.jsonl", "out.jsonl"), "nowhere"),
        (("model", "gone.jsonl", "out.jsonl"), "gone.jsonl"),
        (("model", "in.jsonl", "out.xlsx"), "out.xlsx"),
        (("model", "in.jsonl", "out.jsonl", "--images-root", "gone"), "--images-root gone"),
        (("model", "in.jsonl", "out.jsonl", "--text", "body"), "'body'"),
        (("model", "in.jsonl", "out.jsonl", "--code", "gone.py"), "--code gone.py"),
        (("model", "in.jsonl", "out.jsonl", "--quoting", "none"), "--quoting"),
        (("model", "quotes.tsv", "out.tsv"), "quotes.tsv, line 2: "),
    ],
)
def test_usage_errors_are_one_line_on_standard_error(run, arguments, fact):
    result = run(*arguments)
    assert result.exit_code == 1 and fact in result.stderr and not result.stdout
    assert len(result.stderr.splitlines()) == 1


def test_options_of_quoting_and_limits_are_part_of_the_run(run, tmp_path):
    limits = ("--max-megapixels", "64", "--max-megabytes", "0.5")
    assert run("model", "quotes.tsv", "out.tsv", "--quoting", "none", *limits).exit_code == 0
    assert (tmp_path / "out.tsv").read_text().splitlines()[1].startswith('"a puma\t[{"start": 3')
    made_by = json.loads((tmp_path / "out.tsv.summary.json").read_text())["run"]
    values = ("none", 64, 0.5)
    assert (made_by["quoting"], made_by["max_megapixels"], made_by["max_megabytes"]) == values


def test_a_missing_image_column_raises_a_warning(run):
    result = run("model", "in.jsonl", "out.jsonl", "--images-root", ".")
    assert "no column 'image'" in result.stderr and "3 posts in out.jsonl" in result.stderr
    assert "no column" not in run("model", "in.jsonl", "other.jsonl").stderr


@pytest.fixture
def lost_images(run, tmp_path):
    """A pipeline that needs --code, and 200 posts whose images are missing."""
    (tmp_path / "code.py").write_text(CODE)
    config = tmp_path / "model" / "config.cfg"
    text = config.read_text().replace('pipeline = ["entity_ruler"]', 'pipeline = ["sets_status"]')
    config.write_text(text + '\n[components.sets_status]\nfactory = "sets_status"\n')
    rows = [{"text": "a puma", "image": f"gone-{i}.png"} for i in range(200)] + [{"text": "b"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize(
    "n_process", ["1", pytest.param("2", marks=pytest.mark.slow, id="processes")]
)
def test_missing_images_are_counted_without_a_warning_for_each(run, lost_images, n_process):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(
            *("model", "in.jsonl", "out.jsonl", "--images-root", "."),
            *("--code", "code.py", "--n-process", n_process),
        )
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "201 posts in out.jsonl",
        "images: unreadable 200, absent 1",
    ]


@pytest.mark.slow
def test_posts_can_be_piped(run, tmp_path):
    command = [sys.executable, "-m", "spacy", "mner", "annotate", "model", "-", "-"]
    stdin = '{"text": "a puma"}\n{"text": "b puma", "n": 1}\n'
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["entities"][0]["start"] == 2 and second["n"] == 1
    assert "2 posts in -" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_has_its_own_exit_code(run, monkeypatch, sent):
    monkeypatch.setattr(
        "spacy_mner.annotate.run.annotate", lambda *_, **__: os.kill(os.getpid(), sent)
    )
    before = signal.getsignal(signal.SIGTERM)
    result = run("model", "in.jsonl", "out.jsonl")
    assert result.exit_code == 130 and "same command" in result.stderr
    assert signal.getsignal(signal.SIGTERM) is before
