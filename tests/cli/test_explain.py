from __future__ import annotations

import pytest
import spacy
from PIL import Image
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.corpus.docbin import write_docs
from spacy_mner.errors import ImageWarning

from ..evaluation.standin import make_pipeline, make_post


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pipeline().to_disk("model")
    spacy.blank("en").to_disk("blank")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "ORG.jpg")
    write_posts(tmp_path / "d.spacy", ("ORG", "ORG.jpg"), (None, "ORG.jpg"), ("ORG", None))

    def explain(*arguments):
        return CliRunner().invoke(app, ["explain", *arguments])

    return explain


def write_posts(path, *posts):
    vocab = spacy.blank("en").vocab
    write_docs([make_post(vocab, label, image) for label, image in posts], path)


def counts(result):
    rows = [line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if line.strip()]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def in_one_line(result):
    return " ".join(result.stdout.split())


def test_a_page_is_written_and_the_verdicts_are_counted(run, tmp_path):
    result = run("model", "d.spacy", "new/out.html")
    assert result.exit_code == 0, result.output
    found = counts(result)
    assert (found["posts"], found["image helped"], found["image hurt"]) == ("3", "1", "1")
    assert (found["both wrong"], found["both right"], found["no image used"]) == ("0", "0", "1")
    assert (found["images used"], found["images absent"]) == ("2", "1")
    assert "✔ Wrote" in result.stdout
    page = (tmp_path / "new" / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.count('class="post"') == 3
    assert "the same model without images" in page


def test_the_second_model_is_named(run, tmp_path):
    assert run("model", "d.spacy", "out.html", "--against", "blank").exit_code == 0
    assert "<dd>blank</dd>" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_image_paths_are_resolved_against_images_root(run, tmp_path):
    run("model", "d.spacy", "out.html", "--images-root", "images")
    assert "data:image/jpeg" in (tmp_path / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["blank", "d.spacy"], "--against"),
        (["blank", "d.spacy", "--against", "model"], "Swap MODEL"),
        (["model", "gone.spacy"], "resolved against --images-root"),
        (["model", "none.spacy"], "spacy-mner convert"),
    ],
)
def test_a_page_without_a_used_image_ends_in_one_warning(run, tmp_path, arguments, remedy):
    write_posts(tmp_path / "none.spacy", ("ORG", None))
    write_posts(tmp_path / "gone.spacy", ("ORG", "gone.jpg"), ("CAR", "gone.jpg"))
    result = run(*arguments[:2], "out.html", *arguments[2:])
    assert result.exit_code == 0
    assert remedy in in_one_line(result) and "✔" not in result.stdout


def test_missing_images_are_reported_once(run, trained, tmp_path, recwarn):
    trained.get_pipe("multimodal_ner").images_root = None
    trained.to_disk("trained")
    write_posts(tmp_path / "gone.spacy", ("ORG", "ORG.jpg"), ("CAR", "CAR.jpg"))
    result = run("trained", "gone.spacy", "out.html")
    assert in_one_line(result).count("no such file: ORG.jpg.") == 1
    assert not [warning for warning in recwarn if warning.category is ImageWarning]


def test_a_page_contains_no_private_folder(run, trained, tmp_path):
    trained.to_disk("trained")
    folder = tmp_path / "images"
    write_posts(tmp_path / "d.spacy", ("ORG", str(folder / "gone.jpg")), ("ORG", "gone.jpg"))
    paths = [str(tmp_path / name) for name in ("trained", "d.spacy", "out.html")]
    result = run(*paths, "--against", str(tmp_path / "blank"), "--images-root", str(folder))
    assert result.exit_code == 0, result.output
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    for name in ("trained", "blank", "d.spacy"):
        assert f"<dd>{name}</dd>" in page
    assert "no such file: gone.jpg" in page
    assert str(tmp_path) not in page


def test_images_outside_images_root_are_not_in_the_page(run, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "ORG.png")
    write_posts(tmp_path / "d.spacy", ("ORG", str(tmp_path / "ORG.png")))
    run("model", "d.spacy", "all.html")
    run("model", "d.spacy", "restricted.html", "--images-root", "images")
    assert "data:image/jpeg" in (tmp_path / "all.html").read_text(encoding="utf-8")
    page = (tmp_path / "restricted.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page and "outside the folder of images" in page


def test_the_limit_is_the_number_of_posts(run):
    assert counts(run("model", "d.spacy", "out.html", "--limit", "2"))["posts"] == "2"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone", "d.spacy", "out.html"], "gone"),
        (["model", "d.spacy", "out.html", "--against", "gone"], "gone"),
        (["model", "gone.spacy", "out.html"], "gone.spacy"),
        (["model", "d.spacy", "d.spacy"], ".html"),
        (["model", "d.spacy", "out.html", "--code", "gone.py"], "gone.py"),
    ],
)
def test_a_user_error_is_one_message_and_exit_code_1(run, arguments, reason):
    result = run(*arguments)
    assert result.exit_code == 1
    assert reason in result.stdout.replace("\n", " ")
    assert "Traceback" not in result.output
