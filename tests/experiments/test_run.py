"""Single runs, in this process."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import spacy

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.evaluation.evaluate import evaluate
from spacy_mner.experiments.catalog import EXPERIMENTS
from spacy_mner.experiments.experiment import variant_of
from spacy_mner.experiments.plan import corpus_of, plan, prepare
from spacy_mner.experiments.result import read_result
from spacy_mner.experiments.run import count_parameters, find_best, run
from spacy_mner.experiments.systems import SYSTEMS

from ..conftest import ANIMALS_AND_CARS, make_doc
from ..encoders import write_bert
from .made import ASSETS, make_options, write_posts, write_sample

TABLE1 = EXPERIMENTS["table1"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    (folder / "corpus").mkdir()
    write_sample(folder / "corpus", posts=8)
    return folder


def do(variant, options):
    """Plan and do the run of a variant; its folder and result."""
    experiment = replace(TABLE1, variants=(variant_of(variant),))
    (planned,) = plan(experiment, options, corpus_of(experiment, options))
    prepare(planned)
    run(planned.folder)
    return planned.folder, read_result(planned.folder)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A tiny text encoder and some word vectors, which systems with a transformer read."""
    folder = tmp_path_factory.mktemp("parts")
    nlp = spacy.blank("en")
    for i, word in enumerate(("a", "my", "the", "new", "in", "dog")):
        nlp.vocab.set_vector(word, np.eye(6, dtype=np.float32)[i] + 0.1)
    nlp.to_disk(folder / "vectors")
    return {
        "encoder": str(write_bert(folder / "bert", longest=256)),
        "vectors": str(folder / "vectors"),
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_runs_on_the_sample_corpus(system, sample, parts, monkeypatch):
    monkeypatch.chdir(sample)
    given = parts if SYSTEMS[system].template == "trf" else {}
    options = make_options(sample, images_root=ASSETS, **given)
    folder, result = do(system, options)
    seen = SYSTEMS[system].sees_images
    assert list(result["scores"]) == (["on", "off", "shuffled"] if seen else ["on"])
    assert result["scores"]["on"]["posts"] == 8
    if "V" in SYSTEMS[system].modalities:
        assert "unreadable" not in result["scores"]["on"]["image_status"]
        assert result["scores"]["off"]["image_status"] == {"absent": 8}
    # Although spaCy goes one step beyond max_steps, and eight posts are one step.
    assert result["training"]["epochs"] == result["training"]["best_epoch"] == 1
    left = {path.name for path in folder.iterdir()}
    assert left == {"job.json", "config.cfg", "log.jsonl", "result.json"}


@pytest.fixture
def words(tmp_path):
    return write_words(tmp_path)


def write_words(folder):
    """Fifteen posts without images, which are learned in no time."""
    nlp = spacy.blank("en")
    docs = []
    for word in ANIMALS_AND_CARS:
        docs.append(make_doc(nlp, ["my", word, "!"], None, ["O", "B-ORG", "O"]))
        docs.append(make_doc(nlp, ["the", word, "sleeps"], None, ["O", "O", "O"]))
        docs.append(make_doc(nlp, ["hi", "Bob", "Dylan"], None, ["O", "B-PER", "I-PER"]))
    (folder / "corpus").mkdir()
    write_posts(folder / "corpus", docs, dev="valid.spacy")
    return folder


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A run that kept its model: the folder of corpus and output, that of the run, its result."""
    folder = write_words(tmp_path_factory.mktemp("learned"))
    return folder, *do("w", make_options(folder, epochs=15, keep_models=True))


def test_what_is_scored_and_kept_is_the_model_of_the_best_step(learned):
    folder, place, result = learned
    scores = result["scores"]["on"]
    assert scores["ents_f"] == pytest.approx(result["training"]["best_dev_score"])
    assert scores["ents_f"] > 0.3
    nlp = spacy.load(place / "model-best")
    again = evaluate(nlp, read_docs(folder / "corpus" / "valid.spacy", nlp.vocab))
    assert again["ents_per_type"] == scores["ents_per_type"]
    assert nlp.config["training"]["logger"]["output_file"] is None
    assert not (place / "model-last").exists()


def test_the_counts_by_post_sum_up_to_the_scores(learned):
    result = learned[-1]
    gold, predicted, correct = map(sum, result["counts"]["on"]["types"].values())
    assert len(result["counts"]["on"]["types"]["gold"]) == 15
    f1 = 2 * correct / (gold + predicted)
    assert f1 == pytest.approx(result["scores"]["on"]["ents_f"])


def test_a_seed_gives_the_same_run_again_and_another_seed_another(words):
    options = make_options(words, epochs=2)

    def losses(options):
        return (do("w", options)[0] / "log.jsonl").read_text()

    first = losses(options)
    assert losses(options) == first
    assert losses(replace(options, seeds=(1,))) != first


def test_posts_without_images_cannot_be_shuffled_and_the_rest_is_there(words):
    with pytest.warns(UserWarning, match="Cannot shuffle"):
        _, result = do("wcv-attention", make_options(words))
    assert list(result["scores"]) == ["on", "off"]


def test_a_small_corpus_is_looked_at_in_every_epoch(words):
    # Fifteen posts are a single step.
    folder, _ = do("w", make_options(words, epochs=4))
    history = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["step"]) for row in history] == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_the_best_look_at_dev_is_the_last_of_equal_ones_and_epochs_count_from_1():
    scores = {0: 0.0, 100: 0.5, 200: 0.7, 300: 0.7, 400: 0.6}
    history = [
        {"epoch": i, "step": s, "score": score} for i, (s, score) in enumerate(scores.items())
    ]
    assert find_best(history, 5) == {"best_epoch": 4, "best_step": 300, "best_dev_score": 0.7}


def test_parameters_are_the_numbers_that_are_learned(learned):
    _, place, result = learned
    n_words, width, hidden, n_tags = (
        len({"my", "!", "the", "sleeps", "hi", "Bob", "Dylan"}),
        150,
        100,
        5,
    )
    words = (n_words + len(ANIMALS_AND_CARS) + 1) * width
    lstm = 2 * (4 * hidden * (width + hidden) + 2 * 4 * hidden)
    crf = (2 * hidden + 1) * n_tags + n_tags**2 + 2 * n_tags
    assert result["parameters"] == words + width + lstm + crf

    nlp = spacy.load(place / "model-best")
    (shim,) = nlp.get_pipe("multimodal_ner").model.shims
    largest = max(shim.network.parameters(), key=lambda parameter: parameter.numel())
    largest.requires_grad_(False)
    assert count_parameters(nlp) == result["parameters"] - largest.numel()


def test_a_result_has_the_cpu_time_of_its_process(learned):
    training = learned[-1]["training"]
    trained = training["seconds_per_epoch"]["cpu"] * training["epochs"]
    assert trained < learned[-1]["cpu_seconds"] <= time.process_time()
