"""Labels before, in and after training."""

from __future__ import annotations

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from thinc.api import Config

from spacy_mner.errors import ShortTrainingWarning
from spacy_mner.training.extend_labels import build_extend_labels

from ..conftest import examples_of, gold_docs, make_doc

TEXTS = ["hi Bob Dylan", "my jaguar !", "in Oslo !", "my ram", ""]


def answers(nlp: Language) -> list[list[tuple[str, str]]]:
    return [[(e.text, e.label_) for e in doc.ents] for doc in nlp.pipe(TEXTS)]


def scores(nlp: Language) -> list[float]:
    return [e._.score for doc in nlp.pipe(TEXTS) for e in doc.ents]


def with_places(nlp: Language) -> list[Example]:
    """The examples of the trained pipeline, and posts with a label that it does not have."""
    places = [
        make_doc(nlp, ["in", city, "!"], None, ["O", "B-LOC", "O"]) for city in ("Oslo", "Rome")
    ]
    return examples_of([*gold_docs(nlp), *places * 3])


def test_labels_are_added_before_initialization(untrained):
    component = untrained.get_pipe("multimodal_ner")
    assert component.add_label("LOC") == 1
    assert component.add_label("LOC") == 0
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    assert component.labels == ("LOC", "ORG", "PER")


@pytest.mark.parametrize("label", ["", 3, None])
def test_a_label_must_be_a_string(untrained, label):
    with pytest.raises(ValueError, match="non-empty string"):
        untrained.get_pipe("multimodal_ner").add_label(label)


def test_label_data_initializes_another_pipeline_from_a_sample(untrained, small_model):
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    data = untrained.get_pipe("multimodal_ner").label_data
    other = spacy.blank("en")
    component = other.add_pipe("multimodal_ner", config={"model": small_model})
    component.initialize(lambda: examples[:1], nlp=other, labels=data)
    assert component.label_data == data


def test_a_new_label_changes_no_prediction_before_it_is_trained(trained):
    component = trained.get_pipe("multimodal_ner")
    before = answers(trained), scores(trained)
    network = component.model.shims[0].network
    weights = {name: value.clone() for name, value in network.encode.state_dict().items()}
    assert component.add_label("LOC") == 1
    assert component.labels == ("ORG", "PER", "LOC")
    assert component.model.get_dim("nO") == 3
    assert answers(trained) == before[0] != [[]] * len(TEXTS)
    assert scores(trained) == pytest.approx(before[1], abs=1e-3)
    after = component.model.shims[0].network.encode.state_dict()
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_a_new_label_is_learned_beside_the_known_ones(trained, tmp_path):
    component = trained.get_pipe("multimodal_ner")
    optimizer = trained.create_optimizer()
    optimizer.learn_rate = 0.02
    trained.update(examples_of(gold_docs(trained)), sgd=optimizer)
    component.add_label("LOC")
    examples = with_places(trained)
    for _ in range(60):
        trained.update(examples, sgd=optimizer)
    assert answers(trained)[::2] == [[("Bob Dylan", "PER")], [("Oslo", "LOC")], []]
    trained.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model")
    assert again.get_pipe("multimodal_ner").labels == ("ORG", "PER", "LOC")
    assert (answers(again), scores(again)) == (answers(trained), scores(trained))


def test_the_callback_adds_and_logs_the_labels_and_warns_of_a_short_training(
    trained, corpus_path, tmp_path, caplog
):
    """A sourced component is never initialized: `spacy train` calls this callback before."""
    trained.to_disk(tmp_path / "model")
    docs = [example.reference for example in with_places(trained)]
    spacy.tokens.DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "train.spacy")
    reader = {
        "@readers": "spacy_mner.MultimodalCorpus.v1",
        "path": str(tmp_path / "train.spacy"),
    }
    config = {
        "nlp": {"lang": "en", "pipeline": ["multimodal_ner"]},
        "components": {"multimodal_ner": {"source": str(tmp_path / "model")}},
        "corpora": {"train": reader, "dev": reader},
        "training": {"max_steps": 20, "eval_frequency": 100},
    }
    nlp = spacy.util.load_model_from_config(Config(config), auto_fill=True)
    with caplog.at_level("INFO", logger="spacy"), pytest.warns(ShortTrainingWarning, match="20"):
        build_extend_labels()(nlp)
    assert "New labels: LOC. Known: ORG, PER." in caplog.text
    assert nlp.get_pipe("multimodal_ner").labels == ("ORG", "PER", "LOC")
    assert answers(nlp) == answers(trained)
