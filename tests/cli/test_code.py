from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from spacy_mner.cli.app import app

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
        ("explain", "blank", "d.spacy", "out.html", "--against", "model"),
        ("annotate", "model", "posts.jsonl", "out.jsonl"),
    ],
    ids=" ".join,
)
def test_code_is_imported_before_a_pipeline_is_loaded(arguments, folder):
    # Components stay registered in this process: each case has one of its own.
    name = f"component_for_{arguments[0]}_{len(arguments)}"
    (folder / "code.py").write_text(CODE.format(name=name))
    (folder / "posts.jsonl").write_text(json.dumps({"text": "a"}))
    for file in ("config.cfg", "meta.json"):
        path = folder / "model" / file
        path.write_text(path.read_text().replace("image_name_tagger", name))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and name in result.output
    result = CliRunner().invoke(app, [*arguments, "--code", "code.py"])
    assert result.exit_code == 0, result.output
