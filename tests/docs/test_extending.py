"""The examples of docs/extending.md are executed: trained, saved, loaded and evaluated."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.pipeline.load_for_command import load_pipeline

from ..conftest import examples_of, gold_docs, train

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    path = tmp_path_factory.mktemp("code") / "extensions.py"
    path.write_text("\n\n".join(blocks("python")), encoding="utf-8")
    return path


def test_each_example_has_about_twenty_lines():
    for block in blocks("python")[1:]:
        assert sum(bool(line.strip()) for line in block.splitlines()) <= 22


def test_a_pipeline_with_the_examples_is_trained_saved_and_evaluated(
    code, small_model, images, corpus_path, tmp_path
):
    spacy.util.import_file("extensions", code)
    embed = {**small_model["embed"], "shapes": section("embed.shapes")}
    model = {**small_model, "embed": embed, "fuse": section("fuse"), "encode": section("encode")}
    nlp = spacy.blank("en")
    config = {"model": model, "images_root": str(images)}
    ner = nlp.add_pipe("multimodal_ner", config=config)
    train(nlp, examples_of(gold_docs(nlp)), steps=60, seed=1)
    assert ner.score(list(predicted(nlp)))["ents_f"] > 0.6
    assert len(nlp(Doc(nlp.vocab))) == 0
    nlp.to_disk(tmp_path / "model")

    loaded = load_pipeline(str(tmp_path / "model"), code=code)
    assert entities(predicted(loaded)) == entities(predicted(nlp))
    arguments = ["evaluate", str(tmp_path / "model"), str(corpus_path), "--code", str(code)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output


def section(name):
    """A section of the page's config."""
    parser = ConfigParser()
    parser.read_string(blocks("ini")[0])
    values = parser[f"components.multimodal_ner.model.{name}"]
    return {key: json.loads(value) for key, value in values.items()}


def predicted(nlp):
    for example in examples_of(gold_docs(nlp)):
        example.predicted = nlp(example.predicted)
        yield example


def entities(examples):
    return [[(e.text, e.label_) for e in example.predicted.ents] for example in examples]
