"""Vision models of Hugging Face, tiny and with random weights, against transformers itself."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.errors import UsageError
from spacy_mner.images.encoders.huggingface_vision import HuggingFaceVision
from spacy_mner.images.encoders.image_encoder import ImageClassifier

from ...encoders import VISION_MODELS, write_bert, write_vision
from ..samples import clock, noise

transformers = pytest.importorskip("transformers")

ASSETS = Path(__file__).parents[3] / "assets" / "images"
OPENAI_MEAN = [122.7709, 116.746, 104.0937]
OPENAI_STD = [68.5005, 66.6322, 70.3232]
# Width of the global vector, and patches or cells.
SHAPES = dict.fromkeys(VISION_MODELS, (32, 16)) | {"resnet": (16, 16), "convnext": (16, 16)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("vision")
    return {kind: write_vision(root / kind, kind) for kind in VISION_MODELS}


def photos() -> list[np.ndarray]:
    names = ("car_02.jpg", "cat_02.jpg", "bear_01.jpg")
    return [np.asarray(Image.open(ASSETS / name).convert("RGB")) for name in names]


def reference(kind: str, folder: Path, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The global vector and the patches, by the library's classes for both towers.

    The image is square and of the size of the input: the processor neither resizes nor crops.
    """
    inputs = transformers.AutoImageProcessor.from_pretrained(folder)(
        images=image, input_data_format="channels_last", return_tensors="pt"
    )["pixel_values"]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tower = model.vision_model if kind in ("clip", "siglip") else model
    with torch.no_grad():
        out = tower(pixel_values=inputs)
    hidden = out.last_hidden_state
    if hidden.dim() == 4:
        return out.pooler_output.flatten(1)[0].numpy(), hidden[0].flatten(1).T.numpy()
    n_special = {"siglip": 0, "dinov2_registers": 5, "deit": 2}.get(kind, 1)
    return out.pooler_output[0].numpy(), hidden[0, n_special:].numpy()


@pytest.mark.parametrize("kind", VISION_MODELS)
def test_features_equal_those_of_the_library(kind, folders):
    folder = folders[kind]
    dim, cells = SHAPES[kind]
    whole = HuggingFaceVision(name=str(folder))
    grid = HuggingFaceVision(name=str(folder), regions="grid")
    assert (whole.n_regions, whole.dim) == (1, dim)
    assert (grid.n_regions, grid.dim) == (cells, dim)
    for photo in photos():
        image = np.asarray(Image.fromarray(photo).resize((32, 32)))
        pooled, patches = reference(kind, folder, image)
        np.testing.assert_allclose(whole.encode([image])[0, 0], pooled, atol=1e-5)
        np.testing.assert_allclose(grid.encode([image])[0], patches, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_only_the_vision_tower_is_loaded(kind, folders):
    network, _ = HuggingFaceVision(name=str(folders[kind])).network_on(None)
    both = transformers.AutoModel.from_pretrained(folders[kind])
    sizes = [sorted(p.numel() for p in m.parameters()) for m in (network, both.vision_model)]
    assert sizes[0] == sizes[1]


def test_a_vision_tower_that_was_saved_alone_has_the_same_features(folders, tmp_path):
    tower = transformers.CLIPVisionModel.from_pretrained(folders["clip"])
    tower.save_pretrained(tmp_path)
    shutil.copy(folders["clip"] / "preprocessor_config.json", tmp_path)
    both, alone = (
        HuggingFaceVision(name=str(folders["clip"])),
        HuggingFaceVision(name=str(tmp_path)),
    )
    assert both.fingerprint == alone.fingerprint
    np.testing.assert_array_equal(both.encode([clock()]), alone.encode([clock()]))


@pytest.mark.parametrize("kind", ["vit", "deit"])
def test_a_checkpoint_without_pooling_weights_has_the_class_token(kind, folders, tmp_path):
    """Most ViT were published as classifiers; the library initializes their pooling at random."""
    name = {"vit": "ViT", "deit": "DeiT"}[kind]
    config = transformers.AutoConfig.from_pretrained(folders[kind], num_labels=3)
    classifier = getattr(transformers, f"{name}ForImageClassification")(config).eval()
    classifier.save_pretrained(tmp_path)
    shutil.copy(folders[kind] / "preprocessor_config.json", tmp_path)
    first, second = (HuggingFaceVision(name=str(tmp_path)) for _ in range(2))
    image = noise(32, 32)
    inputs = first.preprocessing(image)[None]
    with torch.no_grad():
        hidden = getattr(classifier, kind)(pixel_values=inputs).last_hidden_state
    np.testing.assert_allclose(first.encode([image])[0, 0], hidden[0, 0].numpy(), atol=1e-5)
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.encode([image]), second.encode([image]))


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("clip", {}, (OPENAI_MEAN, OPENAI_STD, 3)),
        ("vit", {"resample": 0}, ([127.5] * 3, [127.5] * 3, 0)),
        ("vit", {"resample": 2}, ([127.5] * 3, [127.5] * 3, 2)),
        ("siglip", {"do_normalize": False}, ([0.0] * 3, [255.0] * 3, 3)),
        ("siglip", {"do_rescale": False, "do_normalize": False}, ([0.0] * 3, [1.0] * 3, 3)),
        # The library resizes to 36 and crops to 32: we resize the whole image to 32.
        ("dinov2", {"size": {"shortest_edge": 36}}, (OPENAI_MEAN, OPENAI_STD, 3)),
        ("convnext", {"crop_pct": 0.875, "resample": 2}, ([127.5] * 3, [127.5] * 3, 2)),
    ],
)
def test_the_preprocessing_is_that_of_the_model(tmp_path, kind, settings, expected):
    folder = write_vision(tmp_path, kind, **settings)
    found = HuggingFaceVision(name=str(folder)).preprocessing
    mean, std, resample = expected
    assert (found.size, found.resample) == (32, resample)
    assert found.mean == pytest.approx(mean, abs=1e-3)
    assert found.std == pytest.approx(std, abs=1e-3)


def test_an_image_is_not_cropped(folders):
    wide = np.zeros((32, 96, 3), np.uint8)
    marked = wide.copy()
    marked[:, :8] = 255
    first, second = HuggingFaceVision(name=str(folders["clip"])).encode([wide, marked])
    assert np.abs(first - second).max() > 1e-3


def test_the_fingerprint_depends_on_weights_preprocessing_and_regions(folders, tmp_path):
    choices: list[dict[str, Any]] = [
        {"name": str(folders["vit"])},
        {"name": str(folders["vit"]), "regions": "grid"},
        {"name": str(write_vision(tmp_path / "seed", "vit", seed=1))},
        {"name": str(write_vision(tmp_path / "mean", "vit", image_mean=[0.4, 0.5, 0.5]))},
    ]
    assert len({HuggingFaceVision(**settings).fingerprint for settings in choices}) == len(choices)
    moved = shutil.copytree(folders["vit"], tmp_path / "moved")
    expected = HuggingFaceVision(**choices[0]).fingerprint
    assert HuggingFaceVision(name=str(moved), revision="v2").fingerprint == expected


def test_a_name_is_not_resolved_before_it_is_needed():
    encoder = HuggingFaceVision(name="nobody/nothing", revision="v1")
    assert pickle.loads(pickle.dumps(encoder)).model == encoder.model


def test_it_has_no_tags(folders):
    encoder = HuggingFaceVision(name=str(folders["vit"]))
    assert not isinstance(encoder, ImageClassifier) and not hasattr(encoder, "tags")


def test_config_preprocessing_and_weights_are_loaded_from_the_revision(folders, monkeypatch):
    revisions = {}
    for kind in ("AutoConfig", "AutoImageProcessor", "AutoModel"):
        load = getattr(transformers, kind).from_pretrained

        def recording(name, *, kind=kind, load=load, revision="main", **settings):
            revisions.setdefault(kind, revision)
            return load(name, **settings)

        monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", recording)
    HuggingFaceVision(name=str(folders["clip"]), revision="v1.0").encode([clock()])
    assert set(revisions.values()) == {"v1.0"} and len(revisions) == 3


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_missing_and_damaged_files_raise_with_folder_and_file(folders, tmp_path, file, how):
    folder = shutil.copytree(folders["siglip"], tmp_path / "siglip")
    if how == "missing":
        (folder / file).unlink()
    else:
        (folder / file).write_text("{truncated")
    with pytest.raises(ValueError) as caught:
        _ = HuggingFaceVision(name=str(folder)).fingerprint
    assert repr(str(folder)) in str(caught.value) and file in str(caught.value)
    assert "image encoder" in str(caught.value) and "huggingface.co" not in str(caught.value)


def test_a_text_encoder_is_rejected_with_its_type(tmp_path):
    with pytest.raises(ValueError, match=r"not supported .* 'bert'.*Use a vision model"):
        _ = HuggingFaceVision(name=str(write_bert(tmp_path / "bert"))).dim


def test_a_checkpoint_without_the_weights_of_a_layer_is_rejected(folders, tmp_path):
    folder = shutil.copytree(folders["vit"], tmp_path / "vit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(ValueError, match=r"no weights for (encoder|layers)"):
        _ = HuggingFaceVision(name=str(folder)).dim


def test_a_model_with_random_outputs_is_rejected(folders, tmp_path):
    config = transformers.ViTMAEConfig(**{**VISION_MODELS["vit"][1], "decoder_hidden_size": 16})
    transformers.ViTMAEModel(config).save_pretrained(tmp_path)
    shutil.copy(folders["vit"] / "preprocessor_config.json", tmp_path)
    with pytest.raises(ValueError, match="its output is random"):
        _ = HuggingFaceVision(name=str(tmp_path)).dim


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"size": {"height": 32, "width": 16}}, r"shape \[3, 3, 32, 16\]"),
        ({"size": {"height": 24, "width": 24}}, "does not accept images"),
    ],
)
def test_an_input_that_does_not_fit_is_rejected(tmp_path, settings, reason):
    with pytest.raises(ValueError, match=reason):
        _ = HuggingFaceVision(name=str(write_vision(tmp_path, "siglip", **settings))).dim


def test_a_missing_package_raises_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    encoder = HuggingFaceVision(name="openai/clip-vit-base-patch32")
    for use in (encoder.check_installed, lambda: encoder.fingerprint):
        with pytest.raises(UsageError, match=r"spacy-mner\[transformers\]"):
            use()


def test_unknown_regions_are_rejected():
    with pytest.raises(ValueError):
        HuggingFaceVision(name="any", regions="whole")
