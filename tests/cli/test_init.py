from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["init", *arguments])


@pytest.mark.parametrize(
    ("kind", "name", "paths"),
    [
        ("base", "mner.cfg", "--paths.train train.spacy --paths.dev dev.spacy"),
        ("trf", "mner_trf.cfg", "--paths.encoder FOLDER_OR_NAME --paths.train train.spacy"),
    ],
)
def test_it_writes_the_config_and_prints_the_train_command(run, tmp_path, kind, name, paths):
    result = run("new/out.cfg", "--kind", kind)
    assert result.exit_code == 0
    assert (tmp_path / "new" / "out.cfg").read_text() == (CONFIGS / name).read_text()
    assert f"spacy train new/out.cfg {paths}" in result.stdout


@pytest.mark.parametrize("name", ["mner.cfg", "mner_trf.cfg"])
def test_a_config_uses_the_reader_that_keeps_images(name):
    config = spacy.util.load_config(CONFIGS / name)
    readers = {corpus["@readers"] for corpus in config["corpora"].values()}
    assert readers == {"spacy_mner.MultimodalCorpus.v1"}


def test_an_existing_file_is_only_overwritten_with_force(run, tmp_path):
    (tmp_path / "mner.cfg").write_text("mine")
    result = run("mner.cfg")
    assert result.exit_code == 1 and "--force" in result.stdout
    assert (tmp_path / "mner.cfg").read_text() == "mine"
    assert run("mner.cfg", "--force").exit_code == 0
    assert (tmp_path / "mner.cfg").read_text() != "mine"


def test_unknown_kinds_and_folders_are_refused(run, tmp_path):
    assert run("mner.cfg", "--kind", "huge").exit_code != 0
    assert not (tmp_path / "mner.cfg").exists()
    (tmp_path / "mner.cfg").mkdir()
    assert run("mner.cfg", "--force").exit_code == 1
