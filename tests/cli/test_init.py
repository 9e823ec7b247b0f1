from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.experiments.compose import template_config


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def init(*arguments):
        return CliRunner().invoke(app, ["init", *arguments])

    return init


def test_the_config_has_the_reader_that_keeps_images(run, tmp_path):
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--system", "trf-all"), True),
        (("--kind", "trf"), True),
        (("--system", "wc-lample"), False),
    ],
)
def test_what_reads_by_a_transformer_is_trained_with_the_name_of_one(run, arguments, told):
    assert ("--paths.encoder FOLDER_OR_NAME" in run("out.cfg", *arguments).stdout) == told


@pytest.mark.parametrize(
    ("system", "vectors", "images"),
    [
        ("trf-words-context-bilstm", True, False),
        ("trf-augmentation", True, False),
        ("trf-all", True, True),
        ("trf-objects", False, True),
        ("trf-text", False, False),
        ("wc-lample", False, False),
        ("wcv-attention", False, True),
    ],
)
def test_a_training_is_told_of_the_vectors_and_images_that_it_reads(run, system, vectors, images):
    told = run("out.cfg", "--system", system).stdout
    assert ("--paths.vectors VECTORS" in told) == vectors
    assert ("--paths.images_root IMAGES" in told) == images


def test_a_folder_in_place_of_a_file_is_refused(run, tmp_path):
    (tmp_path / "mner.cfg").mkdir()
    result = run("mner.cfg", "--force")
    assert result.exit_code == 1 and "mner.cfg is a folder" in result.stdout


@pytest.mark.parametrize(
    ("system", "paper"), [("trf-all", "Liu et al. 2022"), ("wc-lample", "Moon et al. 2018")]
)
def test_a_system_names_the_paper_that_it_is_of(run, tmp_path, system, paper):
    assert run("out.cfg", "--system", system).exit_code == 0
    assert paper in (tmp_path / "out.cfg").read_text().splitlines()[0]


def test_a_setting_is_one_of_the_kind(run, tmp_path):
    assert run("out.cfg", "--kind", "trf", "--setting", "modern").exit_code == 0
    written = spacy.util.load_config(tmp_path / "out.cfg", interpolate=False)
    assert written == template_config("trf")
    result = run("other.cfg", "--kind", "trf", "--setting", "paper")
    assert result.exit_code == 1 and "no setting 'paper'; there is modern" in result.stdout
    result = run("other.cfg", "--kind", "huge", "--setting", "paper")
    assert result.exit_code == 1 and "no config 'huge'" in result.stdout


def test_the_kind_of_a_system_may_be_named_and_another_is_refused(run, tmp_path):
    assert run("out.cfg", "--kind", "trf", "--system", "trf-all").exit_code == 0
    result = run("other.cfg", "--kind", "trf", "--system", "wc-lample")
    assert result.exit_code == 1 and "leave --kind out" in " ".join(result.stdout.split())
    assert not (tmp_path / "other.cfg").exists()
