from __future__ import annotations

import pytest
from PIL import Image
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.errors import ImageWarning

from .conftest import write_posts


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *arguments])


def counts(result):
    rows = [line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if line.strip()]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def in_one_line(result):
    return " ".join(result.stdout.split())


def test_a_page_is_written_and_the_verdicts_are_counted(folder):
    result = run("model", "d.spacy", "new/out.html")
    assert result.exit_code == 0, result.output
    found = counts(result)
    assert (found["posts"], found["image helped"], found["image hurt"]) == ("3", "1", "1")
    assert (found["both wrong"], found["both right"], found["no image used"]) == ("0", "0", "1")
    assert (found["images used"], found["images absent"]) == ("2", "1")
    assert "✔ Wrote" in result.stdout
    page = (folder / "new" / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and page.count('class="post"') == 3
    assert "the same model without images" in page


def test_the_second_model_is_named(folder):
    assert run("model", "d.spacy", "out.html", "--against", "blank").exit_code == 0
    assert "<dd>blank</dd>" in (folder / "out.html").read_text(encoding="utf-8")


def test_image_paths_are_resolved_against_images_root(folder):
    run("model", "d.spacy", "out.html", "--images-root", "images")
    assert "data:image/jpeg" in (folder / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["blank", "d.spacy"], "--against"),
        (["blank", "d.spacy", "--against", "model"], "Swap MODEL"),
        (["model", "gone.spacy"], "resolved against --images-root"),
        (["model", "none.spacy"], "spacy-mner convert"),
    ],
)
def test_a_page_without_a_used_image_ends_in_one_warning(folder, arguments, remedy):
    write_posts("none.spacy", ("ORG", None))
    write_posts("gone.spacy", ("ORG", "gone.jpg"), ("CAR", "gone.jpg"))
    result = run(*arguments[:2], "out.html", *arguments[2:])
    assert result.exit_code == 0
    assert remedy in in_one_line(result) and "✔" not in result.stdout


def test_missing_images_are_reported_once(folder, trained, recwarn):
    trained.get_pipe("multimodal_ner").images_root = None
    trained.to_disk("trained")
    write_posts("gone.spacy", ("ORG", "ORG.jpg"), ("CAR", "CAR.jpg"))
    result = run("trained", "gone.spacy", "out.html")
    assert in_one_line(result).count("no such file: ORG.jpg.") == 1
    assert not [warning for warning in recwarn if warning.category is ImageWarning]


def test_a_page_contains_no_private_folder(folder, trained):
    trained.to_disk("trained")
    images = folder / "images"
    write_posts("d.spacy", ("ORG", str(images / "gone.jpg")), ("ORG", "gone.jpg"))
    paths = [str(folder / name) for name in ("trained", "d.spacy", "out.html")]
    result = run(*paths, "--against", str(folder / "blank"), "--images-root", str(images))
    assert result.exit_code == 0, result.output
    page = (folder / "out.html").read_text(encoding="utf-8")
    for name in ("trained", "blank", "d.spacy"):
        assert f"<dd>{name}</dd>" in page
    assert "no such file: gone.jpg" in page
    assert str(folder) not in page


def test_images_outside_images_root_are_not_in_the_page(folder):
    Image.new("RGB", (8, 8)).save(folder / "ORG.png")
    write_posts("d.spacy", ("ORG", str(folder / "ORG.png")))
    run("model", "d.spacy", "all.html")
    run("model", "d.spacy", "restricted.html", "--images-root", "images")
    assert "data:image/jpeg" in (folder / "all.html").read_text(encoding="utf-8")
    page = (folder / "restricted.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page and "outside the folder of images" in page


def test_the_limit_is_the_number_of_posts(folder):
    assert counts(run("model", "d.spacy", "out.html", "--limit", "2"))["posts"] == "2"
