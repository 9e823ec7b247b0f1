"""The commands of docs/formats.md are executed with the inputs of the page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import spacy
from PIL import Image
from spacy.util import registry
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.corpus.docbin import read_docs

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
# Heading → its section, if it has commands.
SECTIONS = {
    section.partition("\n")[0].strip("# "): section
    for section in re.split(r"^(?=##)", PAGE, flags=re.MULTILINE)
    if "```bash" in section
}
TWITTER = "Twitter API"
ENTITIES = [("Mira Tolvan", "PER"), ("Oslo", "LOC")]
# Rows of a data set of Hugging Face.
DATASET = [
    {
        "image": Image.new("RGB", (8, 8)),
        "tokens": ["Mira", "Tolvan", "lives", "in", "Oslo", "."],
        "ner_tags": [1, 2, 0, 0, 3, 0],
    }
]


def blocks(section, language):
    """The name behind the language, and the content of each block."""
    pattern = rf"^```{language} ?([^\n]*)\n(.*?)^```"
    return re.findall(pattern, section, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("1.jpg", "1_1.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    return tmp_path


def execute(command):
    """Run a line of the page: ours in this process, others in a shell."""
    if not command.startswith("spacy-mner"):
        if shutil.which(command.split()[0]) is None:
            pytest.skip(f"needs {command.split()[0]}")
        subprocess.run(command, shell=True, check=True)
        return
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("heading", [name for name in SECTIONS if name != TWITTER])
def test_an_export_has_the_entities_and_the_image_of_the_post(heading, folder):
    section = SECTIONS[heading]
    for name, content in [*blocks(section, "json"), *blocks(section, "text")]:
        Path(name).write_text(content, encoding="utf-8")
    for _, code in blocks(section, "python"):
        if "pandas" in code:
            pytest.importorskip("pandas")
        exec(compile(code, heading, "exec"), {"dataset": DATASET})
    for _, commands in blocks(section, "bash"):
        for command in commands.splitlines():
            execute(command)
            if command.startswith("spacy-mner"):
                check(options=command.split())


def check(options):
    summary = json.loads(Path("train.spacy.summary.json").read_text())
    assert summary["problems"] == []
    doc, *others = read_docs(Path("train.spacy"), spacy.blank("en").vocab)
    assert not any(other.ents or other._.image for other in others)
    assert doc.text.replace(" .", ".").rstrip() == "Mira Tolvan lives in Oslo."
    assert [(entity.text, entity.label_) for entity in doc.ents] == ENTITIES
    assert bool(doc._.image) == ("--images-root" in options)
    assert doc._.image_text == ("a woman outdoors" if "--context-label" in options else None)


def test_a_response_of_the_twitter_api_becomes_rows_of_annotate(folder):
    section = SECTIONS[TWITTER]
    [(name, content)] = blocks(section, "json")
    Path(name).write_text(content, encoding="utf-8")
    [(_, commands)] = blocks(section, "bash")
    extract, annotate = commands.splitlines()
    execute(extract)
    assert [json.loads(line) for line in Path("posts.jsonl").read_text().splitlines()] == [
        {
            "id": "1",
            "text": "Mira Tolvan lives in Oslo.",
            "image": ["https://pbs.twimg.com/media/1.jpg"],
        }
    ]
    assert "posts.jsonl" in annotate and "--allow-urls" in annotate


def test_the_tokenizer_of_the_page_splits_mentions():
    [code] = [code for name, code in blocks(PAGE, "python") if name == "tokens.py"]
    exec(compile(code, "tokens.py", "exec"), {})
    nlp = spacy.blank("en")
    registry.callbacks.get("split_mentions.v1")()(nlp)
    restored = spacy.blank("en").from_bytes(nlp.to_bytes())
    for text in ("thanks @Nike!", "me@x.org (@Bob)"):
        assert "@" in [token.text for token in restored(text)]
    assert "me@x.org" in [token.text for token in restored("me@x.org")]
