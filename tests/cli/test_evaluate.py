from __future__ import annotations

import json

import pytest
import spacy
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.corpus.docbin import write_docs

from .conftest import write_posts


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *arguments])


def rows_of(result):
    return {line[:12].strip(): line[12:].split() for line in result.stdout.splitlines()}


def test_the_table_has_a_row_per_label_and_two_totals(folder):
    write_posts("d.spacy", ("ORG", "ORG.jpg"), ("ANIMAL", "ANIMAL.jpg"), ("ORG", None))
    result = run("model", "d.spacy")
    assert result.exit_code == 0
    rows = rows_of(result)
    assert rows["ANIMAL"] == ["100.00", "100.00", "100.00"]
    assert rows["ORG"] == ["100.00", "50.00", "66.67"]
    assert rows["all types"] == ["100.00", "66.67", "80.00"]
    assert rows["segmentation"] == ["100.00", "66.67", "80.00"]
    assert "used 2, absent 1" in result.stdout


def test_scores_are_written_as_json(folder):
    write_posts("d.spacy", ("ORG", "ORG.jpg"), ("ANIMAL", "ANIMAL.jpg"), ("ORG", None))
    run("model", "d.spacy", "--images", "shuffled", "--seed", "4", "--output", "out/m.json")
    scores = json.loads((folder / "out" / "m.json").read_text())
    assert (scores["model"], scores["data"]) == ("model", "d.spacy")
    assert (scores["images"], scores["seed"]) == ("shuffled", 4)
    assert scores["ents_f"] == 0 and scores["segmentation_f"] == pytest.approx(0.8)


def test_images_off_removes_the_images(folder):
    assert "images off (absent 3)" in run("model", "d.spacy", "--images", "off").stdout


def test_relative_image_paths_are_resolved_against_images_root(folder):
    # The pipeline of this test predicts the whole path as the label.
    result = run("model", "d.spacy", "--images-root", "images")
    assert "images/ORG" in result.stdout


def test_tokens_are_those_of_the_pipeline_or_gold(folder):
    nlp = spacy.blank("en")
    doc = Doc(nlp.vocab, ["hi", "@", "Nike"], [True, False, False], ents=["O", "O", "B-ORG"])
    doc._.image = "ORG.jpg"
    write_docs([doc], folder / "x.spacy")
    result = run("model", "x.spacy")
    assert rows_of(result)["all types"] == ["0.00", "0.00", "0.00"]
    assert "1 of 1 gold spans do not align" in result.stdout.replace("\n", " ")
    result = run("model", "x.spacy", "--tokens", "gold")
    assert rows_of(result)["all types"] == ["100.00", "100.00", "100.00"]
    assert "align" not in result.stdout


def test_posts_without_annotation_have_no_score(folder):
    write_docs([spacy.blank("en")("hello")], folder / "bare.spacy")
    result = run("model", "bare.spacy")
    assert result.exit_code == 0
    assert "nothing to score" in result.stdout.replace("\n", " ")


def test_scores_without_mentions_are_printed_if_there_are_any(folder):
    vocab = spacy.blank("en").vocab
    docs = [
        Doc(vocab, ["thanks", "@", "Nike"], ents=["O", "O", "B-ORG"]),
        Doc(vocab, ["by", "Nike"], ents=["O", "B-ORG"]),
    ]
    docs[1]._.image = "ORG.jpg"
    write_docs(docs, folder / "x.spacy")
    result = run("model", "x.spacy", "--output", "x.json")
    rows = {line[:16].strip(): line[16:].split() for line in result.stdout.splitlines()}
    assert rows["all types"] == ["100.00", "50.00", "66.67"]
    assert rows["without mentions"] == ["100.00", "100.00", "100.00"]
    assert json.loads((folder / "x.json").read_text())["without_mentions"]["ents_f"] == 1
    assert "without mentions" not in run("model", "one.spacy").stdout


def test_posts_that_are_not_converted_yet_are_an_error_with_the_command(folder):
    (folder / "d.jsonl").write_text('{"text": "hi"}\n')
    result = run("model", "d.jsonl")
    assert result.exit_code == 1
    assert "spacy-mner convert d.jsonl d.spacy" in " ".join(result.stderr.split())


def test_a_missing_images_root_is_an_error(folder):
    result = run("model", "d.spacy", "--images-root", "nofolder")
    assert result.exit_code == 1 and "--images-root nofolder" in result.stderr


def test_images_that_were_not_used_are_counted_with_an_example(folder):
    write_posts("x.spacy", ("ORG", "gone.jpg"), ("ORG", "gone.jpg"), ("ORG", "ORG.jpg"))
    output = " ".join(run("model", "x.spacy", "--output", "x.json").stdout.split())
    assert "2 of 3 posts have an image that was not used, e.g. no such file" in output
    assert "--images-root" in output
    assert json.loads((folder / "x.json").read_text())["first_image_problem"] == "no such file"
    assert "not used" not in run("model", "one.spacy").stdout
