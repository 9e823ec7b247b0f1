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
    assert "✔ Wrote" in result.stdout and "cannot show" not in result.stdout
    page = (tmp_path / "new" / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.count('class="post"') == 3
    assert "the same model, its images taken away" in page


def test_another_model_is_named(run, tmp_path):
    assert run("model", "d.spacy", "out.html", "--against", "blank").exit_code == 0
    assert "<dd>blank</dd>" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_images_are_taken_from_their_folder(run, tmp_path):
    run("model", "d.spacy", "out.html", "--images-root", "images")
    assert "data:image/jpeg" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_page_without_a_used_image_says_so_at_the_end_and_how_to_get_one(run, tmp_path):
    write_posts(tmp_path / "none.spacy", ("ORG", None))
    write_posts(tmp_path / "gone.spacy", ("ORG", "gone.jpg"), ("CAR", "gone.jpg"))
    for arguments, reason in [
        (["blank", "d.spacy"], "MODEL uses none. --against names another model"),
        (["blank", "d.spacy", "--against", "model"], "Give the one that does as MODEL"),
        (["model", "gone.spacy"], "the first is unreadable: no such file. --images-root names"),
        (["model", "none.spacy"], "no post has one. `spacy-mner convert`"),
    ]:
        result = run(arguments[0], arguments[1], "out.html", *arguments[2:])
        assert result.exit_code == 0
        assert reason in in_one_line(result) and "✔" not in result.stdout


def test_a_forgotten_folder_of_images_is_told_of_once(run, trained, tmp_path, recwarn):
    trained.get_pipe("multimodal_ner").images_root = None
    trained.to_disk("trained")
    write_posts(tmp_path / "gone.spacy", ("ORG", "ORG.jpg"), ("CAR", "CAR.jpg"))
    result = run("trained", "gone.spacy", "out.html")
    assert "the first is unreadable: no such file: ORG.jpg. --images-root" in in_one_line(result)
    assert not [warning for warning in recwarn if warning.category is ImageWarning]


def test_a_page_names_no_folder_of_this_machine(run, trained, tmp_path):
    trained.to_disk("trained")
    folder = tmp_path / "images"
    write_posts(tmp_path / "d.spacy", ("ORG", str(folder / "gone.jpg")), ("ORG", "gone.jpg"))
    paths = [str(tmp_path / name) for name in ("trained", "d.spacy", "out.html")]
    result = run(*paths, "--against", str(tmp_path / "blank"), "--images-root", str(folder))
    assert result.exit_code == 0, result.output
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    for name in (
        "<dd>trained</dd>",
        "<dd>blank</dd>",
        "<dd>d.spacy</dd>",
        "no such file: gone.jpg",
    ):
        assert name in page
    assert str(tmp_path) not in page


def test_images_outside_their_folder_are_not_in_the_page(run, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "ORG.png")
    write_posts(tmp_path / "d.spacy", ("ORG", str(tmp_path / "ORG.png")))
    run("model", "d.spacy", "all.html")
    run("model", "d.spacy", "below.html", "--images-root", "images")
    assert "data:image/jpeg" in (tmp_path / "all.html").read_text(encoding="utf-8")
    page = (tmp_path / "below.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page and "outside the folder of images" in page


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
