from __future__ import annotations

import pytest
from spacy.util import dict_to_dot, registry

from configs import DATA, MODEL, TABLES, TEMPLATES, compose, missing_inputs, set_budget, system_of
from spacy_mner.errors import UsageError

SETTINGS = [(name, "modern") for name in TEMPLATES]
SETTINGS += [(name, "paper") for name, template in TEMPLATES.items() if template == "base"]


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_every_system_is_a_valid_config_that_has_its_overlays(name, setting):
    config = compose(name, setting, {"paths.encoder": "encoder"}).interpolate()
    registry.fill({"model": config["components"]["multimodal_ner"]["model"]}, validate=True)
    values = dict_to_dot(config)
    for overlay in DATA["systems"][TEMPLATES[name]][name][2:]:
        for path, value in DATA["overlays"][overlay].items():
            if not isinstance(value, dict) and overlay != "char-cnn":
                assert values[f"{MODEL}.{path}"] == value


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_known_systems_and_compares_only_its_own(name):
    table = TABLES[name]
    assert {system_of(variant)[0] for variant in table["systems"]} <= set(TEMPLATES)
    assert {variant for pair in table["pairs"] for variant in pair} <= set(table["systems"])


def test_the_setting_paper_has_the_sizes_of_the_paper_and_the_system_is_merged_on_top():
    values = dict_to_dot(compose("wc-mahovy", "paper").interpolate())
    assert values["training.optimizer.@optimizers"] == "spacy_mner.Adagrad.v1"
    assert values["training.batcher.size"] == 10
    assert values[f"{MODEL}.encode.@architectures"] == "spacy_mner.CoupledBiLSTM.v1"
    assert values[f"{MODEL}.fuse.@architectures"] == "spacy_mner.Concatenate.v1"
    assert values[f"{MODEL}.embed.char.dropout"] == 0.0
    with pytest.raises(UsageError):
        compose("trf-text", "paper")


def test_descriptors_and_objects_of_the_corpus_replace_encoder_and_detector():
    values = dict_to_dot(compose("trf-all-objects", attributes=["image_features", "image_objects"]))
    assert values[f"{MODEL}.embed.image.encoder"] is None
    assert values["nlp.pipeline"] == ["multimodal_ner"]
    values = dict_to_dot(compose("trf-all-objects", attributes=["image"]))
    assert values["nlp.pipeline"] == ["image_objects", "multimodal_ner"]
    assert values["training.annotating_components"] == ["image_objects"]


@pytest.mark.parametrize(
    ("name", "attributes", "missing"),
    [
        ("wc-lample", [], []),
        ("wcv-attention", [], ["images"]),
        ("wcv-attention", ["image_features"], []),
        ("trf-objects", ["image_features"], ["image_objects"]),
        ("trf-augmentation", [], ["word vectors"]),
        ("trf-all", ["image"], ["image_text", "word vectors"]),
    ],
)
def test_inputs_that_the_corpus_lacks_are_named(name, attributes, missing):
    found = missing_inputs(compose(name), attributes)
    assert all(what in found for what in missing) and bool(found) == bool(missing)


def test_a_budget_in_epochs_scales_steps_and_schedules():
    config = compose("trf-text")
    assert set_budget(config, n_posts=160, epochs=6) == 6
    training = config["training"]
    assert (training["max_steps"], training["eval_frequency"]) == (60, 10)
    rate = training["optimizer"]["learn_rate"]
    assert (rate["total_steps"], rate["warmup_steps"]) == (60, 12)


def test_dev_is_scored_in_every_epoch_of_a_small_corpus():
    config = compose("wc-lample")
    assert set_budget(config, n_posts=60, epochs=None) == 30
    assert config["training"]["eval_frequency"] == 1
