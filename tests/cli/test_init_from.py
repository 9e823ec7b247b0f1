"""`spacy-mner init --from`: training an existing pipeline further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.cli.init_from import CHANGES, config_from_pipeline, training_of
from spacy_mner.errors import LoadingError, UsageError
from spacy_mner.pipeline.optimize import optimize

from ..conftest import examples_of, gold_docs, make_doc, make_pipeline
from ..conftest import train as train_pipeline
from ..encoders import write_bert
from ..pipeline.test_tok2vec import CNN, LISTENER, with_tok2vec

TEMPLATES = Path(__file__).parents[2] / "configs"
CITIES = ("Oslo", "Rome", "Paris")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return CliRunner().invoke(app, ["init", *arguments])


def write_corpus(nlp):
    """The posts of the trained pipeline, and posts with a label that it does not have."""
    places = [make_doc(nlp, ["in", city, "!"], None, ["O", "B-LOC", "O"]) for city in CITIES]
    corpus = DocBin(docs=[*gold_docs(nlp), *places * 3], store_user_data=True)
    corpus.to_disk("corpus.spacy")


def train_config(path, images, **overrides):
    paths = {"train": "corpus.spacy", "dev": "corpus.spacy", "images_root": str(images)}
    values = {"training.max_steps": 40, "training.eval_frequency": 20, **overrides}
    values |= {f"paths.{name}": value for name, value in paths.items()}
    train(Path(path), Path("training"), overrides=values)
    return spacy.load("training/model-last")


@pytest.mark.slow
def test_a_pipeline_learns_a_new_label_and_keeps_its_labels_vectors_and_tokenizer(
    small_model, images
):
    trained = make_pipeline(small_model, images)
    trained.vocab.set_vector("jaguar", np.float32([1.0, 2.0]))
    train_pipeline(trained, examples_of(gold_docs(trained)))
    trained.tokenizer.add_special_case("gimme", [{"ORTH": "gim"}, {"ORTH": "me"}])
    trained.to_disk("model")
    write_corpus(trained)
    result = run("my.cfg", "--from", "model")
    assert result.exit_code == 0
    assert "spacy train my.cfg --paths.train train.spacy --paths.dev dev.spacy" in result.stdout
    nlp = train_config("my.cfg", images, **{"training.optimizer.learn_rate": 0.02})
    assert nlp.get_pipe("multimodal_ner").labels == ("ORG", "PER", "LOC")
    found = [[(e.text, e.label_) for e in nlp(text).ents] for text in ("hi Bob Dylan", "in Oslo!")]
    assert found == [[("Bob Dylan", "PER")], [("Oslo", "LOC")]]
    text = "gimme my jaguar! #x"
    assert [*map(str, nlp.tokenizer(text))] == [*map(str, trained.tokenizer(text))]
    assert nlp.vocab["jaguar"].vector.tolist() == [1.0, 2.0]
    # The result is a pipeline of its own, which can be trained further.
    Path("model").rename("moved")
    spacy.load("training/model-last")
    assert config_from_pipeline("training/model-last")


def test_a_config_has_the_language_and_settings_of_the_pipeline(small_model, images):
    tokenizer = {"@tokenizers": "spacy_mner.PostTokenizer.v1"}
    nlp = spacy.blank("de", config={"nlp": {"batch_size": 7, "tokenizer": tokenizer}})
    config = {"model": {**small_model}, "images_root": str(images)}
    nlp.add_pipe("multimodal_ner", name="posts", config=config)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    nlp.to_disk("model")
    assert run("my.cfg", "--from", "model").exit_code == 0
    config = load_config("my.cfg")
    assert config["nlp"] == nlp.config["nlp"]
    assert config["components"] == {"posts": {"source": "model"}}
    assert config["initialize"]["vectors"] is None
    assert config["initialize"]["before_init"]["component"] == "posts"
    template = load_config(TEMPLATES / "mner.cfg")
    assert config["corpora"] == template["corpora"]
    assert set(config["training"]) == set(template["training"])
    rates = [one["training"]["optimizer"]["learn_rate"] for one in (config, template)]
    assert rates[0] < rates[1]
    assert config["training"]["max_steps"] > 0 == config["training"]["max_epochs"]


def test_a_transformer_is_trained_with_its_optimizer_and_smaller_learning_rates(small_model):
    name = str(write_bert(Path("encoder")))
    embed = {"text": {"@architectures": "spacy_mner.Transformer.v1", "name": name}}
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": {**small_model, "embed": embed}})
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    nlp.to_disk("model")
    assert run("my.cfg", "--from", "model").exit_code == 0
    config, template = load_config("my.cfg"), load_config(TEMPLATES / "mner_trf.cfg")
    optimizer, scratch = (one["training"]["optimizer"] for one in (config, template))
    assert optimizer["@optimizers"] == "spacy_mner.AdamW.v1"
    for rate in ("learn_rate", "encoder_learn_rate"):
        assert optimizer[rate]["initial_rate"] < scratch[rate]["initial_rate"]
        assert optimizer[rate]["total_steps"] == config["training"]["max_steps"]


@pytest.mark.parametrize(("template", "changes"), CHANGES.items())
def test_every_changed_setting_is_in_the_template(template, changes):
    text = training_of(template)
    for old, new in changes.items():
        assert f"\n{new}\n" in text, f"{template}.cfg has no line {old}"


@pytest.mark.slow
def test_a_shared_tok2vec_is_trained_and_other_components_annotate(small_model, images):
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    nlp.add_pipe("tok2vec", config={"model": CNN})
    config = {"model": with_tok2vec(small_model, LISTENER), "overwrite": False}
    nlp.add_pipe("multimodal_ner", config=config)
    nlp.add_pipe("merge_entities")
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    ruler.add_patterns([{"label": "URL", "pattern": "x.org"}])
    nlp.to_disk("model")
    write_corpus(nlp)
    assert run("my.cfg", "--from", "model").exit_code == 0
    config = load_config("my.cfg")
    assert config["training"]["frozen_components"] == ["entity_ruler", "merge_entities"]
    assert config["training"]["annotating_components"] == ["entity_ruler"]
    trained = train_config("my.cfg", images, **{"training.max_steps": 4})
    assert trained.pipe_names == nlp.pipe_names
    before, after = (one.get_pipe("tok2vec").model.to_bytes() for one in (nlp, trained))
    assert before != after
    assert [e.label_ for e in trained("see x.org").ents][-1:] == ["URL"]


@pytest.mark.parametrize("n", [0, 2])
def test_a_pipeline_needs_exactly_one_component_of_ours(n, small_model, images):
    nlp = spacy.blank("en")
    config = {"model": small_model, "images_root": str(images)}
    for i in range(n):
        nlp.add_pipe("multimodal_ner", name=f"ner{i}", config=config)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    nlp.to_disk("model")
    with pytest.raises(UsageError, match="ner0, ner1" if n else "none"):
        config_from_pipeline("model")


def test_an_optimized_pipeline_is_refused(trained_bytes):
    pytest.importorskip("onnxruntime")
    settings, data = trained_bytes
    nlp = spacy.util.load_model_from_config(settings).from_bytes(data)
    optimize(nlp).to_disk("fast")
    result = run("my.cfg", "--from", "fast")
    assert result.exit_code == 1 and "then optimize again" in " ".join(result.stderr.split())
    assert not Path("my.cfg").exists()


def test_what_is_no_pipeline_is_refused():
    Path("empty").mkdir()
    for source in ("empty", "en_not_installed"):
        with pytest.raises(LoadingError, match=source):
            config_from_pipeline(source)
        assert run("my.cfg", "--from", source).exit_code == 1
    assert not Path("my.cfg").exists()


@pytest.mark.parametrize("option", [("--lang", "en"), ("--kind", "base")])
def test_options_that_the_pipeline_determines_are_refused(option):
    result = run("my.cfg", "--from", "model", *option)
    assert result.exit_code == 1 and option[0] in result.stderr
