from __future__ import annotations

from pathlib import Path

import pytest
from spacy.util import load_config

import spacy_mner
from spacy_mner.experiments.compose import compose, flatten, template_config
from spacy_mner.experiments.system import CHAR, IMAGE, WORD

CNN = {"@architectures": "spacy_mner.CharCNN.v1"}


def block(config, path):
    for name in path.split("."):
        config = config[name]
    return config


def test_another_function_keeps_the_arguments_that_both_know():
    config = compose({f"{CHAR}.width": 80, f"{CHAR}.dropout": 0.1}, {CHAR: {**CNN, "window": 5}})
    char = block(config, CHAR)
    assert (char["width"], char["dropout"], char["window"]) == (80, 0.1, 5)


def test_arguments_that_are_new_have_their_defaults():
    assert block(compose({CHAR: CNN}), CHAR)["window"] == 3


def test_what_a_block_names_wins():
    assert block(compose({CHAR: {**CNN, "width": 64}}), CHAR)["width"] == 64


def test_later_overrides_lie_above_earlier_ones():
    assert block(compose({f"{WORD}.width": 1}, {f"{WORD}.width": 2}), WORD)["width"] == 2


def test_a_null_drops_a_block():
    assert block(compose({IMAGE: None}), IMAGE) is None


def test_variables_stay_variables():
    assert compose()["corpora"]["train"]["path"] == "${paths.train}"


@pytest.mark.parametrize("path", ["training.max_epoch", f"{WORD}.nothing.at_all", "nothing"])
def test_a_path_that_the_config_does_not_have_is_refused(path):
    with pytest.raises(ValueError, match=path):
        compose({path: 1})


def test_a_dropped_block_has_nothing_to_override():
    with pytest.raises(ValueError, match=r"no .*encoder"):
        compose({IMAGE: None}, {f"{IMAGE}.encoder": None})


def test_the_base_is_the_template():
    template = Path(spacy_mner.__file__).parent / "templates" / "base.cfg"
    assert compose({}, {}) == template_config("base") == load_config(template, interpolate=False)


def test_flattened_blocks_have_dotted_names():
    assert flatten({"a": {"b": 1, "c": {"d": None}}, "e": {}}) == {"a.b": 1, "a.c.d": None}
