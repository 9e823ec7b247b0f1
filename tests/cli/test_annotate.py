from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "CAT", "pattern": "puma"}])
    nlp.to_disk("model")
    lines = ['{"text": "a puma 🐈"}', "{", '{"text": "nobody"}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")

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


def test_posts_that_fail_are_told_and_give_an_exit_code_of_their_own(run, tmp_path):
    result = run("model", "in.jsonl", "out.csv")
    assert result.exit_code == 3
    assert "1 post failed" in result.stderr and "row 2: not a line of JSON" in result.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == ["a puma 🐈", "", "nobody"]
    assert [bool(row["error"]) for row in rows] == [False, True, False]


def test_a_terminal_obeys_nothing_that_stands_in_a_row_or_names_a_column(run, tmp_path):
    evil = "\x1b]0;pwn\x07\x9b31m\u202e"
    row = json.dumps({"text": "a", evil: 1})
    (tmp_path / "in.jsonl").write_text(f"[1] {evil}\n{row}", encoding="utf-8")
    told = run("model", "in.jsonl", "out.jsonl").stderr
    refused = run("model", "in.jsonl", "other.jsonl", "--image", "photo").stderr
    for words in (told, refused):
        assert r"\x1b]0;pwn\x07\x9b31m\u202e" in words
        assert words.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "in.jsonl", "out.jsonl"), "There is no pipeline nowhere"),
        (("model", "gone.jsonl", "out.jsonl"), "There is no file gone.jsonl"),
        (("model", "in.jsonl", "out.xlsx"), "out.xlsx: posts are read from"),
        (("model", "in.jsonl", "out.jsonl", "--images-root", "gone"), "no folder gone"),
        (("model", "in.jsonl", "out.jsonl", "--text", "body"), "no column 'body'"),
    ],
)
def test_what_the_user_can_put_right_is_one_line_on_standard_error(run, arguments, words):
    result = run(*arguments)
    assert result.exit_code == 1 and words in result.stderr and not result.stdout


def test_images_that_no_column_names_are_told(run):
    result = run("model", "in.jsonl", "out.jsonl", "--images-root", ".")
    assert "The input has no column 'image'; its columns: 'text'." in result.stderr
    assert "3 posts in out.jsonl" in result.stderr
    assert "no column" not in run("model", "in.jsonl", "other.jsonl").stderr


def test_posts_go_through_a_pipe(run, tmp_path):
    words = [sys.executable, "-m", "spacy", "mner", "annotate", "model", "-", "-"]
    given = '{"text": "a puma"}\n{"text": "b puma", "n": 1}\n'
    done = subprocess.run(words, input=given, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["entities"][0]["start"] == 2 and second["n"] == 1
    assert "2 posts in -" in done.stderr


def test_an_interrupted_run_says_that_the_same_command_goes_on(run, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("spacy_mner.annotate.run.annotate", interrupted)
    result = run("model", "in.jsonl", "out.jsonl")
    assert result.exit_code == 130 and "the same command goes on" in result.stderr
