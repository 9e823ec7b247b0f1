"""Single runs, in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest
import spacy

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.evaluation.evaluate import evaluate
from spacy_mner.experiments.catalogue import EXPERIMENTS
from spacy_mner.experiments.data import read_corpus
from spacy_mner.experiments.experiment import variant_of
from spacy_mner.experiments.result import read_result
from spacy_mner.experiments.run import run
from spacy_mner.experiments.runner import plan, prepare
from spacy_mner.experiments.systems import SYSTEMS

from ..conftest import ANIMALS_AND_CARS, make_doc
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
    corpus = read_corpus(options.corpus, options.split, options.vectors)
    (planned,) = plan(replace(TABLE1, variants=(variant_of(variant),)), options, corpus)
    prepare(planned)
    run(planned.folder)
    return planned.folder, read_result(planned.folder)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_runs_on_the_sample_corpus(system, sample, monkeypatch):
    monkeypatch.chdir(sample)
    options = make_options(sample, images_root=ASSETS)
    folder, result = do(system, options)
    with_pictures = system.startswith("wcv")
    assert list(result["scores"]) == (["on", "off", "shuffled"] if with_pictures else ["on"])
    assert result["scores"]["on"]["posts"] == 8
    if with_pictures:
        assert "unreadable" not in result["scores"]["on"]["image_status"]
        assert result["scores"]["off"]["image_status"] == {"absent": 8}
    assert result["training"]["epochs"] == 1
    assert result["parameters"] > 10_000
    left = {path.name for path in folder.iterdir()}
    assert left == {"job.json", "config.cfg", "log.jsonl", "result.json"}


@pytest.fixture
def words(tmp_path):
    return write_words(tmp_path)


def write_words(folder):
    """Fifteen posts without pictures, which are learned in no time."""
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


def test_posts_without_pictures_cannot_be_shuffled_and_the_rest_is_there(words):
    with pytest.warns(UserWarning, match="Cannot shuffle"):
        _, result = do("wcv-attention", make_options(words))
    assert list(result["scores"]) == ["on", "off"]


def test_the_training_posts_of_a_small_corpus_are_all_seen_before_dev_chooses(words):
    _, result = do("w", make_options(words, epochs=4))
    assert result["training"]["best_step"] in range(4)
    assert result["overrides"]["training.eval_frequency"] == 1
