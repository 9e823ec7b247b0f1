from __future__ import annotations

import pytest
import spacy
from PIL import Image
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.corpus.docbin import write_docs

from ..evaluation.standin import make_pipeline, make_post


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pipeline().to_disk("model")
    spacy.blank("en").to_disk("blank")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "ORG.jpg")
    posts = [("ORG", "ORG.jpg"), (None, "ORG.jpg"), ("ORG", None)]
    vocab = spacy.blank("en").vocab
    write_docs([make_post(vocab, label, image) for label, image in posts], tmp_path / "d.spacy")

    def explain(*arguments):
        return CliRunner().invoke(app, ["explain", *arguments])

    return explain


def counts(result):
    rows = [line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if line.strip()]
    return {row[0]: row[1] for row in rows[:7]}


def test_a_page_is_written_and_the_verdicts_are_counted(run, tmp_path):
    result = run("model", "d.spacy", "new/out.html")
    assert result.exit_code == 0, result.output
    found = counts(result)
    assert (found["posts"], found["image helped"], found["image hurt"]) == ("3", "1", "1")
    assert (found["both wrong"], found["both right"]) == ("1", "0")
    page = (tmp_path / "new" / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.count('class="post"') == 3
    assert "the same model, its pictures taken away" in page


def test_another_model_is_named(run, tmp_path):
    assert run("model", "d.spacy", "out.html", "--against", "blank").exit_code == 0
    assert "<dd>blank</dd>" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_pictures_are_taken_from_their_folder(run, tmp_path):
    run("model", "d.spacy", "out.html", "--images-root", "pictures")
    assert "data:image/jpeg" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_the_first_posts_are_enough(run, tmp_path):
    assert counts(run("model", "d.spacy", "out.html", "--limit", "2"))["posts"] == "2"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone", "d.spacy", "out.html"], "Cannot load the pipeline gone"),
        (["model", "d.spacy", "out.html", "--against", "gone"], "Cannot load the pipeline gone"),
        (["model", "gone.spacy", "out.html"], "spacy-mner convert"),
        (["model", "d.spacy", "d.spacy"], "ends in .html"),
    ],
)
def test_a_mistake_ends_in_one_line_and_exit_code_1(run, arguments, reason):
    result = run(*arguments)
    assert result.exit_code == 1
    assert reason in result.stdout.replace("\n", " ")
    assert "Traceback" not in result.output
