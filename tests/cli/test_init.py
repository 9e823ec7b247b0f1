from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def init(*arguments):
        return CliRunner().invoke(app, ["init", *arguments])

    return init


def test_the_config_has_the_reader_that_keeps_pictures(run, tmp_path):
    result = run("configs/mner.cfg")
    assert result.exit_code == 0
    config = spacy.util.load_config(tmp_path / "configs" / "mner.cfg")
    readers = {corpus["@readers"] for corpus in config["corpora"].values()}
    assert readers == {"spacy_mner.MultimodalCorpus.v1"}
    assert "spacy train configs/mner.cfg" in result.stdout


def test_a_file_that_is_there_is_overwritten_only_by_force(run, tmp_path):
    (tmp_path / "mner.cfg").write_text("mine")
    result = run("mner.cfg")
    assert result.exit_code == 1 and "--force" in result.stdout
    assert (tmp_path / "mner.cfg").read_text() == "mine"
    assert run("mner.cfg", "--force").exit_code == 0
    assert (tmp_path / "mner.cfg").read_text() != "mine"


def test_an_unknown_kind_is_refused_with_those_there_are(run, tmp_path):
    result = run("mner.cfg", "--kind", "huge")
    assert result.exit_code == 1
    assert "huge" in result.stdout and "base" in result.stdout
    assert not (tmp_path / "mner.cfg").exists()


@pytest.mark.parametrize(("kind", "name"), [("base", "mner.cfg"), ("trf", "mner_trf.cfg")])
def test_the_configs_of_the_repository_are_what_it_writes(run, tmp_path, kind, name):
    assert run("out.cfg", "--kind", kind).exit_code == 0
    ours = Path(__file__).parents[2] / "configs" / name
    assert (tmp_path / "out.cfg").read_text() == ours.read_text()
