"""What runs are asked to do, and where."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import pytest
import spacy
from PIL import Image

from spacy_mner.errors import CorpusError
from spacy_mner.experiments import data
from spacy_mner.experiments import plan as planning
from spacy_mner.experiments.catalog import EXPERIMENTS
from spacy_mner.experiments.experiment import variant_of
from spacy_mner.experiments.plan import (
    asked_for,
    corpus_of,
    default_workers,
    plan,
    prepare,
    suited,
    threads_of_a_run,
)
from spacy_mner.experiments.system import IMAGE, MODEL, OBJECTS

from ..conftest import gold_docs
from .made import make_options, write_posts

BOTH = replace(EXPERIMENTS["table1"], variants=(variant_of("w"), variant_of("wcv-attention")))


@pytest.fixture
def options(tmp_path, images):
    """Posts, of which ten have an image, and those images in a folder of their own."""
    write_posts(tmp_path / "corpus", gold_docs(spacy.blank("en")))
    shutil.copytree(images, tmp_path / "photos")
    return make_options(tmp_path, images_root=tmp_path / "photos")


def asked_of(options, experiment=BOTH):
    """What the first runs of the variants are asked to do."""
    runs = plan(experiment, options, corpus_of(experiment, options))
    return [run.job.asked for run in runs[: len(experiment.variants)]]


def test_a_run_that_sees_images_is_asked_about_these_and_no_other(options):
    text, seeing = asked_of(options)
    assert "images" in seeing["data"]
    Image.new("RGB", (9, 9)).save(options.images_root / "car.png")
    text_again, seeing_again = asked_of(options)
    assert text_again == text and seeing_again["data"] != seeing["data"]
    assert seeing_again["config"] == seeing["config"]


def test_a_run_whose_detector_opens_images_is_asked_about_these(options):
    objects = replace(EXPERIMENTS["ablation"], variants=(variant_of("trf-objects"),))
    (before,) = asked_of(options, objects)
    Image.new("RGB", (9, 9)).save(options.images_root / "car.png")
    (after,) = asked_of(options, objects)
    assert after["config"] == before["config"] and after["data"] != before["data"]


def test_images_are_looked_for_where_a_run_opens_them_that_is_asked_for_or_finished(options):
    elsewhere = replace(options, images_root=options.output, systems=("w",))
    assert corpus_of(BOTH, elsewhere).images is None
    with pytest.raises(CorpusError, match="images of train cannot be opened"):
        corpus_of(BOTH, replace(elsewhere, systems=()))
    (options.output / "wcv-attention").mkdir(parents=True)
    with pytest.raises(CorpusError, match="images of train cannot be opened"):
        corpus_of(BOTH, elsewhere)


def test_where_the_images_lie_does_not_matter(options, tmp_path):
    before = asked_of(options)
    options.images_root.rename(tmp_path / "moved")
    assert asked_of(replace(options, images_root=tmp_path / "moved")) == before


def test_how_checkpoints_are_written_is_no_part_of_what_a_run_is_asked(options):
    text, _ = asked_of(options)
    found = {name: value for name, value in text["config"].items() if "before_to_disk" in name}
    assert found == {"training.before_to_disk": None}


def test_text_alone_needs_no_images(options):
    text = replace(BOTH, variants=BOTH.variants[:1])
    (asked,) = asked_of(replace(options, images_root=None), text)
    assert set(asked["data"]) == {"train", "dev"}


def test_descriptors_are_asked_about_as_a_part_of_their_posts(options):
    docs = gold_docs(spacy.blank("en"))
    docs[0]._.image_features = [1.0, 2.0]
    write_posts(options.corpus, docs)
    for asked in asked_of(replace(options, images_root=None)):
        assert set(asked["data"]) == {"train", "dev"} and set(asked) == {"config", "data", "split"}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "googlenet.pth"
    path.write_bytes(b"weights")
    return path


def test_weights_of_the_encoder_are_asked_about_by_what_they_hold(options, weights, tmp_path):
    options = replace(options, setting="paper", encoder_weights=weights)
    name = f"{IMAGE}.encoder.weights"
    text, before = asked_of(options)
    assert before["config"][name] == "googlenet.pth" and name not in text["config"]
    (tmp_path / "other").mkdir()
    moved = replace(options, encoder_weights=weights.rename(tmp_path / "other" / "googlenet.pth"))
    assert asked_of(moved) == [text, before]
    moved.encoder_weights.write_bytes(b"others")
    after = asked_of(moved)[1]
    assert after["config"] == before["config"] and after["data"] != before["data"]


def test_the_config_of_a_run_names_the_file_with_the_weights(options, weights):
    options = replace(options, setting="paper", encoder_weights=weights)
    config = plan(BOTH, options, corpus_of(BOTH, options))[1].config
    encoder = config["components"]["multimodal_ner"]["model"]["embed"]["image"]["encoder"]
    assert (encoder["model"], encoder["weights"]) == ("googlenet", str(weights))


@pytest.mark.parametrize(
    ("setting", "name", "reason"),
    [("modern", "googlenet.pth", "--setting paper"), ("paper", "no.pth", r"no file .*no\.pth")],
)
def test_weights_that_cannot_be_used_are_refused(options, weights, setting, name, reason):
    options = replace(options, setting=setting, encoder_weights=weights.parent / name)
    with pytest.raises(CorpusError, match=reason):
        asked_of(options)


@pytest.fixture
def encoder(tmp_path):
    """A folder that a text encoder might lie in."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


TRANSFORMER = replace(EXPERIMENTS["ablation"], variants=(variant_of("trf-image"),))


def test_a_text_encoder_is_asked_about_by_what_its_folder_holds(options, encoder, tmp_path):
    data.hash_encoder.cache_clear()
    options = replace(options, encoder=str(encoder))
    (before,) = asked_of(options, TRANSFORMER)
    moved = replace(options, encoder=str(encoder.rename(tmp_path / "moved")))
    assert asked_of(moved, TRANSFORMER) == [before]
    (tmp_path / "moved" / "config.json").write_text("[]")
    data.hash_encoder.cache_clear()
    assert asked_of(moved, TRANSFORMER)[0]["data"] != before["data"]


def test_the_config_of_a_run_names_the_text_encoder(options, encoder):
    for given, expected in ((str(encoder), str(encoder)), (None, "all-MiniLM-L6-v2")):
        (run,) = plan(TRANSFORMER, replace(options, encoder=given), corpus_of(BOTH, options))
        assert run.config["paths"]["encoder"].endswith(expected)


def test_an_experiment_without_transformer_takes_no_text_encoder(options):
    with pytest.raises(CorpusError, match="--encoder is for a text encoder, and table1 has none"):
        asked_of(replace(options, encoder="bert"))


def test_an_epoch_is_as_many_steps_as_the_posts_make_where_the_config_counts_steps(options):
    n_posts = len(gold_docs(spacy.blank("en")))
    (asked,) = asked_of(replace(options, epochs=3), TRANSFORMER)
    assert asked["config"]["training.max_steps"] == 3 * math.ceil(n_posts / 16)
    assert asked["config"]["training.max_epochs"] == 0
    assert asked_of(replace(options, epochs=3))[0]["config"]["training.max_epochs"] == 3


@pytest.mark.parametrize(("epochs", "rise"), [(1, 1), (30, 6), (5000, 200)])
def test_learning_rates_rise_in_a_fifth_of_few_steps_and_fall_to_the_last(options, epochs, rise):
    (asked,) = asked_of(replace(options, epochs=epochs), TRANSFORMER)
    for name in ("learn_rate", "encoder_learn_rate"):
        schedule = f"training.optimizer.{name}"
        assert asked["config"][f"{schedule}.warmup_steps"] == rise
        assert asked["config"][f"{schedule}.total_steps"] == asked["config"]["training.max_steps"]


@pytest.mark.parametrize("epochs", [1, 3, 100])
def test_epochs_that_are_counted_in_steps_are_looked_at_after_each(options, epochs):
    (asked,) = asked_of(replace(options, epochs=epochs), TRANSFORMER)
    settings = asked["config"]
    looks = settings["training.max_steps"] / settings["training.eval_frequency"]
    assert looks == epochs  # the last one is at the last step, where learning rates are zero


def test_objects_are_detected_only_where_posts_bring_none(options):
    detector = f"{OBJECTS}.detector"
    objects = replace(EXPERIMENTS["ablation"], variants=(variant_of("trf-objects"),))
    (detected,) = asked_of(options, objects)
    assert f"{detector}.@object_detectors" in detected["config"]
    docs = gold_docs(spacy.blank("en"))
    docs[0]._.image_objects = [{"label": "car", "vector": [0.1, 0.2]}]
    write_posts(options.corpus, docs)
    (given,) = asked_of(options, objects)
    assert given["config"][detector] is None


@pytest.mark.parametrize("nothing", [None, []], ids=str)
def test_systems_that_see_images_are_left_out_where_no_post_has_one(options, nothing):
    docs = gold_docs(spacy.blank("en"))
    for doc in docs:
        doc._.image = nothing
    write_posts(options.corpus, docs)
    experiment = suited(BOTH, corpus_of(BOTH, options))
    assert [variant.key for variant in experiment.variants] == ["w"]
    assert "posts with images" in experiment.left_out["wcv-attention"]


def test_mixed_precision_is_a_part_of_what_a_run_is_asked(options):
    before, after = (asked_of(replace(options, mixed_precision=on))[0] for on in (False, True))
    name = f"{MODEL}.mixed_precision"
    assert (before["config"].pop(name), after["config"].pop(name)) == (False, True)
    assert before == after


def test_variants_that_the_corpus_has_nothing_for_are_left_out(options):
    experiment = suited(EXPERIMENTS["ablation"], corpus_of(BOTH, options))
    left = [variant.key for variant in experiment.variants]
    assert left == [
        *("trf-alone", "trf-text", "trf-text-no-auxiliary"),
        *("trf-image", "trf-image-mean", "trf-image-text-first"),
        *("trf-objects", "trf-objects-mean"),
    ]
    for system in ("trf-words", "trf-augmentation", "trf-all"):
        assert "vectors" in experiment.left_out[system]
    for system in ("trf-context", "trf-all"):
        assert "image_text" in experiment.left_out[system]
    docs = gold_docs(spacy.blank("en"))
    docs[0]._.image_text = "a dog"
    write_posts(options.corpus, docs)
    corpus = corpus_of(BOTH, options)
    corpus.hashes["vectors"] = "0"
    assert not suited(EXPERIMENTS["ablation"], corpus).left_out


def test_only_the_systems_that_are_asked_for_are_trained(options):
    options = replace(options, systems=("wcv-attention",))
    assert asked_for(BOTH, options) == {"wcv-attention"}
    assert asked_for(BOTH, replace(options, systems=())) == {"w", "wcv-attention"}
    with pytest.raises(CorpusError, match=r"no system .wc-lstm. here; there is w, wcv-attention"):
        asked_for(BOTH, replace(options, systems=("wc-lstm",)))
    left = suited(EXPERIMENTS["ablation"], corpus_of(BOTH, options))
    with pytest.raises(CorpusError, match=r"trf-context. here, for want of posts with"):
        asked_for(left, replace(options, systems=("trf-context",)))


def test_an_experiment_of_which_nothing_is_left_is_refused(options):
    context = replace(EXPERIMENTS["ablation"], variants=(variant_of("trf-context"),))
    with pytest.raises(
        CorpusError, match=r"Nothing of ablation .* without posts with .*image_text"
    ):
        suited(context, corpus_of(BOTH, options))


@pytest.fixture
def planned(options):
    (run,) = plan(replace(BOTH, variants=BOTH.variants[:1]), options, corpus_of(BOTH, options))
    return run


def test_the_folder_of_a_run_is_made_anew(planned):
    prepare(planned)
    (planned.folder / "log.jsonl").write_text("half a line")
    prepare(planned)
    assert {path.name for path in planned.folder.iterdir()} == {"job.json", "config.cfg"}


def test_an_empty_folder_may_be_that_of_a_run(planned):
    planned.folder.mkdir(parents=True)
    prepare(planned)
    assert (planned.folder / "job.json").is_file()


def test_a_folder_that_holds_something_else_is_left_alone(planned, options):
    planned.folder.mkdir(parents=True)
    thesis = planned.folder / "thesis.tex"
    thesis.write_text("years of work")
    with pytest.raises(CorpusError, match=r"out/w/0 holds something that is no run"):
        asked_of(options)
    with pytest.raises(CorpusError, match="no run"):
        prepare(planned)
    assert thesis.read_text() == "years of work"


@pytest.mark.parametrize("name", ["w", "w/0"])
def test_a_file_in_place_of_a_folder_is_refused(options, name):
    path = options.output / name
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(CorpusError, match=f"out/{name} is no folder"):
        asked_of(options)


@pytest.mark.parametrize(
    ("limit", "threads"), [("", 4), ("2", 2), ("1", 1), ("64", 4), ("0", 4), ("2,1", 4)]
)
def test_a_run_has_its_share_of_the_cores_within_what_the_user_allows(limit, threads, monkeypatch):
    monkeypatch.setattr(planning, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert threads_of_a_run(2) == threads
    assert threads_of_a_run(16) == 1


@pytest.mark.parametrize(
    ("cores", "gpu_id", "workers"), [(1, -1, 1), (4, -1, 4), (64, -1, 8), (64, 0, 1)]
)
def test_a_core_has_a_run_and_so_has_a_gpu(cores, gpu_id, workers, monkeypatch):
    monkeypatch.setattr(planning, "cores", lambda: cores)
    assert default_workers(gpu_id) == workers
