"""Labels of a corpus that the pipeline cannot predict, in `spacy train`."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import spacy
from spacy.cli.train import train
from spacy.tokens import Doc
from spacy.util import load_config

from spacy_mner.corpus.docbin import write_docs
from spacy_mner.errors import UnknownLabelsWarning
from spacy_mner.training.reader import labels_of_pipeline

CONFIG = Path(__file__).parents[2] / "configs" / "mner.cfg"
VOCAB = spacy.blank("en").vocab
# The component of the config, with few and narrow layers.
SMALL = {
    "embed": {"image": None, "word": {"width": 8}, "char": {"width": 8}},
    "encode": {"hidden_width": 8},
}


def write_corpus(path, *labels):
    docs = [Doc(VOCAB, words=["my", "jaguar"], ents=["O", f"B-{label}"]) for label in labels]
    write_docs(docs, path)
    return path


@pytest.fixture
def run(tmp_path):
    """Train for two steps and return the messages of `UnknownLabelsWarning`."""

    def run(train_labels, dev_labels, change=lambda config: None, out="out"):
        corpora = {
            "train": str(write_corpus(tmp_path / "train.spacy", *train_labels)),
            "dev": str(write_corpus(tmp_path / "dev.spacy", *dev_labels)),
        }
        steps = {"max_epochs": 0, "max_steps": 2, "eval_frequency": 1}
        component = {"multimodal_ner": {"model": SMALL}}
        config = load_config(CONFIG).merge(
            {"paths": {**corpora, "image_cache": None}, "training": steps, "components": component}
        )
        change(config)
        config.to_disk(tmp_path / "mner.cfg")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(tmp_path / "mner.cfg", tmp_path / out)
        return [str(one.message) for one in caught if one.category is UnknownLabelsWarning]

    return run


def test_labels_of_the_dev_corpus_alone_are_named_once_with_their_number(run):
    [message] = run(["ORG", "PER"], ["ORG", "EVENT", "EVENT", "Per"])
    assert "dev.spacy" in message and "--map" in message
    assert "EVENT (2 spans), Per (1 span)" in message and "ORG, PER" in message


def test_labels_of_the_training_corpus_alone_are_not_reported(run):
    assert run(["ORG", "PER"], ["ORG"]) == []


def test_a_renamed_component_after_a_frozen_one_adds_its_labels(run, tmp_path):
    assert run(["ORG"], ["ORG"], out="first") == []

    def add_second(config):
        components = config["components"]
        components["second"] = {**components["multimodal_ner"], "overwrite": False}
        components["multimodal_ner"] = {"source": str(tmp_path / "first" / "model-last")}
        config["nlp"]["pipeline"] = ["multimodal_ner", "second"]
        config["training"]["frozen_components"] = ["multimodal_ner"]
        config["initialize"]["components"] = {}

    [message] = run(["PER"], ["PER", "ORG", "EVENT"], add_second)
    assert "EVENT (1 span);" in message and "ORG, PER" in message


def test_labels_that_a_trained_component_learns_anew_are_known(run, tmp_path):
    assert run(["ORG"], ["ORG"], out="first") == []

    def resume(config):
        source = {"source": str(tmp_path / "first" / "model-last")}
        config["components"]["multimodal_ner"] = source
        config["initialize"]["components"] = {}
        config["initialize"]["before_init"] = {"@callbacks": "spacy_mner.ExtendLabels.v1"}

    assert run(["ORG", "PER"], ["ORG", "PER"], resume) == []


@pytest.fixture
def pipeline(trained):
    """A trained pipeline with the labels ORG and PER and a ruler with the label URL before it."""
    trained.rename_pipe("multimodal_ner", "tagger")
    ruler = trained.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "URL", "pattern": "x.org"}])
    return trained


def test_labels_of_replaced_entities_do_not_count(pipeline):
    assert labels_of_pipeline(pipeline) == {"ORG", "PER"}
    pipeline.get_pipe("tagger").overwrite = False
    assert labels_of_pipeline(pipeline) == {"ORG", "PER", "URL"}


def test_there_are_no_labels_before_initialization(pipeline):
    pipeline.add_pipe("multimodal_ner").add_label("LOC")
    assert labels_of_pipeline(pipeline) == labels_of_pipeline(spacy.blank("en")) == set()
    with pipeline.select_pipes(disable="multimodal_ner"):
        assert labels_of_pipeline(pipeline) == {"ORG", "PER"}
