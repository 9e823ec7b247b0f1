from __future__ import annotations

import sys
from pathlib import Path

import pytest
import spacy
from spacy.cli.init_config import fill_config
from spacy.cli.train import train
from spacy.util import load_config, registry
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.corpus.docbin import write_docs
from spacy_mner.extensions import has_image

from ..conftest import gold_docs

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["init", *arguments])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("base", "mner.cfg"),
        ("trf", "mner_trf.cfg"),
        ("cross-modal", "mner_cross_modal.cfg"),
    ],
)
def test_it_writes_the_config_and_prints_the_train_command(run, tmp_path, kind, name):
    result = run("new/out.cfg", "--kind", kind)
    assert result.exit_code == 0
    assert (tmp_path / "new" / "out.cfg").read_text() == (CONFIGS / name).read_text()
    paths = "--paths.train train.spacy --paths.dev dev.spacy --paths.images_root IMAGES"
    assert f"spacy train new/out.cfg {paths} -o training" in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", ["mner.cfg", "mner_trf.cfg", "mner_cross_modal.cfg"])
def test_a_config_uses_the_reader_that_keeps_images(name):
    config = load_config(CONFIGS / name)
    for corpus in config["corpora"].values():
        readers = {one["@readers"] for one in corpus.get("corpora", {"": corpus}).values()}
        assert readers == {"spacy_mner.MultimodalCorpus.v1"}


def test_checkpoints_of_a_transformer_are_selected_with_and_without_images(tmp_path, images):
    nlp = spacy.blank("en")
    write_docs(gold_docs(nlp), tmp_path / "dev.spacy")
    config = load_config(CONFIGS / "mner_trf.cfg")
    config["paths"].update(dev=str(tmp_path / "dev.spacy"), images_root=str(images))
    dev = registry.resolve({"dev": config.interpolate()["corpora"]["dev"]})["dev"]
    shown = [has_image(example.predicted) for example in dev(nlp)]
    assert shown == [has_image(doc) for doc in gold_docs(nlp)] + 15 * [False]


def test_an_existing_file_is_only_overwritten_with_force(run, tmp_path):
    (tmp_path / "mner.cfg").write_text("mine")
    result = run("mner.cfg")
    assert result.exit_code == 1 and "--force" in result.stderr
    assert (tmp_path / "mner.cfg").read_text() == "mine"
    assert run("mner.cfg", "--force").exit_code == 0
    assert (tmp_path / "mner.cfg").read_text() != "mine"


def test_unknown_kinds_and_folders_are_refused(run, tmp_path):
    assert run("mner.cfg", "--kind", "huge").exit_code != 0
    assert not (tmp_path / "mner.cfg").exists()
    (tmp_path / "mner.cfg").mkdir()
    assert run("mner.cfg", "--force").exit_code == 1


@pytest.mark.parametrize("lang", ["zh", "de"])
@pytest.mark.parametrize("kind", ["base", "trf", "cross-modal"])
def test_a_config_has_the_language_and_its_tokenizer(run, tmp_path, kind, lang):
    assert run("mner.cfg", "--kind", kind, "--lang", lang).exit_code == 0
    config, language = load_config(tmp_path / "mner.cfg"), spacy.blank(lang).config
    assert config["nlp"]["lang"] == lang
    assert config["nlp"]["tokenizer"] == language["nlp"]["tokenizer"]
    assert config["initialize"]["tokenizer"] == language["initialize"]["tokenizer"]
    assert dict(fill_config(tmp_path / "filled.cfg", tmp_path / "mner.cfg")[1]) == dict(config)


def test_other_languages_have_a_multilingual_encoder(run, tmp_path):
    for lang, name in [("en", "all-MiniLM-L6-v2"), ("zh", "multilingual-e5-small")]:
        run("mner.cfg", "--kind", "trf", "--lang", lang, "--force")
        assert load_config(tmp_path / "mner.cfg")["paths"]["encoder"].endswith(f"/{name}")


@pytest.mark.parametrize(("lang", "named"), [("qq", "no such language"), ("ja", "sudachipy")])
def test_a_language_without_a_tokenizer_is_refused(run, tmp_path, monkeypatch, lang, named):
    monkeypatch.setitem(sys.modules, "sudachipy", None)
    result = run("mner.cfg", "--lang", lang)
    assert result.exit_code == 1 and named in " ".join(result.stderr.split())
    assert not (tmp_path / "mner.cfg").exists()


# Posts of single characters, as in CMNER: the name and the place of each.
CHINESE = [(name, place) for name in ("老王", "小明", "阿强") for place in ("北京", "广州", "南京")]


def chinese_post(number, name, place):
    tags = ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "O"]
    lines = zip(f"{name}在{place}很好", tags, strict=True)
    return f"WID:w{number}\n" + "".join(f"{character}\t{tag}\n" for character, tag in lines)


@pytest.mark.slow
def test_a_pipeline_trained_on_chinese_characters_finds_entities_in_text(run, tmp_path):
    posts = [chinese_post(i, *post) for i, post in enumerate(CHINESE)]
    Path("posts.txt").write_text("\n".join(posts), encoding="utf-8")
    converted = CliRunner().invoke(app, ["convert", "posts.txt", "posts.spacy", "--lang", "zh"])
    assert converted.exit_code == run("mner.cfg", "--lang", "zh").exit_code == 0
    overrides = {
        "paths.train": "posts.spacy",
        "paths.dev": "posts.spacy",
        "components.multimodal_ner.model.embed.image": None,
        "training.max_epochs": 0,
        "training.max_steps": 40,
        "training.eval_frequency": 20,
    }
    train(Path("mner.cfg"), Path("training"), overrides=overrides)
    doc = spacy.load("training/model-last")("小明在北京很好")
    assert [(entity.text, entity.label_) for entity in doc.ents] == [
        ("小明", "PER"),
        ("北京", "LOC"),
    ]
