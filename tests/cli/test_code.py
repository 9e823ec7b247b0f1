from __future__ import annotations

import json

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.corpus.docbin import write_docs

from ..evaluation.standin import make_pipeline, make_post

CODE = """
from spacy.language import Language

@Language.component("{name}")
def component(doc):
    return doc
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert", "posts.jsonl", "out.spacy", "--model", "model"),
        ("evaluate", "model", "d.spacy"),
        ("explain", "model", "d.spacy", "out.html"),
        ("explain", "plain", "d.spacy", "out.html", "--against", "model"),
        ("annotate", "model", "posts.jsonl", "out.jsonl"),
    ],
    ids=" ".join,
)
def test_code_is_imported_before_a_pipeline_is_loaded(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Components stay registered in this process: each case has one of its own.
    name = f"component_for_{arguments[0]}_{len(arguments)}"
    (tmp_path / "code.py").write_text(CODE.format(name=name))
    (tmp_path / "posts.jsonl").write_text(json.dumps({"text": "a"}))
    write_docs([make_post(spacy.blank("en").vocab, "ORG", "ORG.jpg")], tmp_path / "d.spacy")
    for folder in ("plain", "model"):
        make_pipeline().to_disk(folder)
    for file in ("config.cfg", "meta.json"):
        path = tmp_path / "model" / file
        path.write_text(path.read_text().replace("image_name_tagger", name))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and name in result.output
    result = CliRunner().invoke(app, [*arguments, "--code", "code.py"])
    assert result.exit_code == 0, result.output
