from __future__ import annotations

import pytest
from spacy.cli.init_config import fill_config
from spacy.util import load_config, load_model_from_config
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.errors import CorpusError
from spacy_mner.experiments.ablation import KEYS, PAIRS
from spacy_mner.experiments.compose import flatten, template_config
from spacy_mner.experiments.systems import SETTINGS, SYSTEMS, system_config
from spacy_mner.experiments.table1 import PAPER

MODEL = "components.multimodal_ner.model"


CONFIGS = [(key, setting) for key, one in SYSTEMS.items() for setting in SETTINGS[one.template]]


@pytest.mark.parametrize(("system", "setting"), CONFIGS)
def test_every_config_is_complete_and_reads_what_its_row_says(system, setting, tmp_path):
    path = tmp_path / "system.cfg"
    system_config(system, setting).to_disk(path)
    _, filled = fill_config(tmp_path / "filled.cfg", path, silent=True)
    assert flatten(filled) == flatten(load_config(path))
    nlp = load_model_from_config(load_config(path), auto_fill=False, validate=True)
    embed = nlp.config["components"]["multimodal_ner"]["model"]["embed"]
    letters = {"text": "T", "word": "W", "char": "C", "image": "V", "augmentation": "A"}
    letters |= {"objects": "O"}
    seen = {letters[name] for name, block in embed.items() if block is not None}
    seen |= {"X"} if embed.get("text") and embed["text"]["context"] else set()
    assert seen == set(SYSTEMS[system].modalities.split(" + "))


def test_the_rows_stand_in_the_order_of_the_paper():
    assert [SYSTEMS[key].modalities for key in PAPER] == [
        *("C", "W"),
        *("W + C",) * 4,
        *("W + C + V",) * 2,
    ]


def test_systems_that_read_anything_of_an_image_see_images_and_the_others_do_not():
    for system in SYSTEMS.values():
        read = set(system.modalities.split(" + "))
        assert system.sees_images == bool(read & {"V", "O", "X"}), system.key


@pytest.mark.parametrize(("system", "template"), [("wcv-attention", "base"), ("trf-image", "trf")])
def test_one_of_them_is_the_template(system, template):
    assert system_config(system) == template_config(template)


def differing(first, second):
    one, other = flatten(system_config(first)), flatten(system_config(second))
    return {name for name in {**one, **other} if one.get(name) != other.get(name)}


def test_neighbors_differ_in_what_their_names_say():
    char, fuse = f"{MODEL}.embed.char.", f"{MODEL}.fuse."
    assert all(name.startswith(char) for name in differing("wc-lample", "wc-mahovy"))
    assert differing("wc-mahovy", "wc-aguilar") == {f"{MODEL}.decode.segmentation"}
    for pair in (("wc-lample", "wc-attention"), ("wcv-concatenation", "wcv-attention")):
        assert differing(*pair) and all(name.startswith(fuse) for name in differing(*pair))
    image = f"{MODEL}.embed.image"
    assert all(name.startswith(image) for name in differing("wc-side", "wcv-attention"))
    assert all(name.startswith(image) for name in differing("wc-attention", "wcv-summed"))
    assert differing("wc-side", "wc-attention") == {f"{fuse}combine", f"{fuse}dropout"}


def test_a_switch_of_the_ablation_changes_that_alone_in_a_system_with_its_part():
    fuse = f"{MODEL}.fuse."
    for system, switched, changed in (
        ("trf-text", "no-auxiliary", {f"{fuse}auxiliary", f"{MODEL}.decode.segmentation"}),
        ("trf-image", "mean", {f"{fuse}grid_gate"}),
        ("trf-image", "text-first", {f"{fuse}region_first"}),
        ("trf-objects", "mean", {f"{fuse}objects_gate"}),
        ("trf-augmentation", "gated", {f"{fuse}augmentation_gate"}),
    ):
        assert differing(system, f"{system}-{switched}") == changed


def test_a_part_of_the_ablation_differs_from_the_text_in_that_part_alone():
    embed = f"{MODEL}.embed."
    for system, part in (
        *(("trf-alone", "char"), ("trf-words", "word"), ("trf-image", "image")),
        *(("trf-objects", "objects"), ("trf-augmentation", "augmentation")),
    ):
        added = differing("trf-text", system)
        assert added and all(name.startswith(embed + part) for name in added)
    assert differing("trf-text", "trf-context") == {f"{embed}text.context"}
    added = differing("trf-all", "trf-all-objects")
    assert added and all(name.startswith(f"{embed}objects") for name in added)


def test_every_row_of_the_ablation_is_compared_with_another():
    compared = [first for first, _ in PAIRS]
    assert len(set(compared)) == len(compared)
    assert set(compared) == set(KEYS) - {"trf-alone"}


def test_the_setting_of_the_paper_has_its_sizes_and_optimizer():
    flat = flatten(system_config("wcv-attention", "paper"))
    for modality in ("word", "char", "image"):
        assert flat[f"{MODEL}.embed.{modality}.width"] == 150
    assert flat[f"{MODEL}.encode.@architectures"] == "spacy_mner.CoupledBiLSTM.v1"
    assert flat[f"{MODEL}.encode.hidden_width"] == 100
    assert flat[f"{MODEL}.fuse.bounded"] is True
    assert flat[f"{MODEL}.embed.image.encoder.model"] == "googlenet"
    assert flat["training.batcher.size"] == 10
    optimizer = {n.rpartition(".")[2]: v for n, v in flat.items() if n.startswith("training.opt")}
    assert optimizer == {
        "@optimizers": "spacy_mner.Adagrad.v1",
        "learn_rate": 0.02,
        "eps": 1e-8,
        "L2": 0.0,
        "grad_clip": 0.0,
        "use_averages": False,
    }


def test_systems_keep_the_dropout_of_their_setting():
    assert system_config("wc-lample", "paper")["components"]["multimodal_ner"]["model"]["fuse"] == {
        "@architectures": "spacy_mner.Concatenate.v1",
        "dropout": 0.5,
    }


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("lample",), "wc-lample"),
        (("c", "old"), "modern, paper"),
        (("trf-text", "paper"), "modern"),
    ],
)
def test_an_unknown_name_is_refused_with_those_there_are(names, reason):
    with pytest.raises(CorpusError, match=reason):
        system_config(*names)


def test_init_writes_a_system_by_name(tmp_path):
    path = tmp_path / "x.cfg"
    arguments = ["init", str(path), "--system", "wc-lample", "--setting", "paper"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert load_config(path, interpolate=False) == system_config("wc-lample", "paper")
    assert CliRunner().invoke(app, ["init", str(path), "--force"]).exit_code == 0
    assert load_config(path, interpolate=False) == template_config("base")
    result = CliRunner().invoke(app, ["init", str(path), "--system", "elmo", "--force"])
    assert result.exit_code == 1 and "elmo" in result.stdout
