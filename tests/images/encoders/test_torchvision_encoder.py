from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from spacy_mner.images.encoders.torchvision_encoder import Torchvision

from ..samples import clock, noise

SMALL = "shufflenet_v2_x0_5"


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, dim, cells, width",
    [
        ("googlenet", 1024, 49, 1024),
        ("inception_v3", 2048, 64, 2048),
        ("resnet152", 2048, 49, 2048),
        ("vgg11", 4096, 49, 512),
        ("squeezenet1_1", 512, 169, 512),
        ("mobilenet_v3_small", 1024, 49, 576),
        ("densenet121", 1024, 49, 1024),
        ("regnet_y_400mf", 440, 49, 440),
        ("swin_t", 768, 49, 768),
        ("vit_b_32", 768, 49, 768),
    ],
)
def test_sizes_of_features_are_known_without_weights(model, dim, cells, width):
    whole, grid = Torchvision(model=model), Torchvision(model=model, regions="grid")
    assert (whole.n_regions, whole.dim) == (1, dim)
    assert (grid.n_regions, grid.dim) == (cells, width)
    assert whole._network is None and grid._network is None


@pytest.mark.parametrize("model", [SMALL, "squeezenet1_1"])
@pytest.mark.parametrize("regions", ["global", "grid"])
def test_features_have_the_shape_of_the_properties(model, regions):
    encoder = Torchvision(model=model, regions=regions)
    features = encoder.encode([noise(), clock()])
    assert features.dtype == np.float32
    assert features.shape == (2, encoder.n_regions, encoder.dim)


def test_global_features_are_the_input_of_the_classifier_and_the_mean_of_the_grid(tmp_path):
    network = models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    preset = models.ResNet18_Weights.DEFAULT.transforms()
    small = Image.fromarray(clock()).resize((224, 224), Image.Resampling.BILINEAR)
    inputs = torch.tensor((np.asarray(small) / 255 - preset.mean) / preset.std)
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        hidden = network(inputs.permute(2, 0, 1).float()[None]).numpy()
    for regions in ("global", "grid"):
        weights = str(tmp_path / "resnet18.pth")
        encoder = Torchvision(model="resnet18", weights=weights, regions=regions)
        means = encoder.encode([clock()]).mean(1)
        assert np.allclose(means, hidden, rtol=1e-3, atol=1e-3)


def test_the_input_size_depends_on_model_and_weights():
    assert Torchvision(model="inception_v3").preprocessing.size == 299
    large = Torchvision(model="vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1", regions="grid")
    assert large.preprocessing.size == 384
    assert large.n_regions == 576


def test_weights_for_other_classes_are_supported(tmp_path):
    network = models.get_model(SMALL, weights=None, num_classes=5)
    torch.save(network.state_dict(), tmp_path / "five.pth")
    encoder = Torchvision(model=SMALL, weights=str(tmp_path / "five.pth"))
    assert encoder.encode([clock()]).shape == (1, 1, 1024)
    [tags] = encoder.tags([clock()], k=9)
    assert sorted(label for label, _ in tags) == [f"class {i}" for i in range(5)]
    assert sum(p for _, p in tags) == pytest.approx(1.0)


def test_tags_are_imagenet_labels_sorted_by_probability():
    [tags] = Torchvision(model=SMALL).tags([clock()], k=3)
    known = models.ResNet18_Weights.DEFAULT.meta["categories"]
    assert [label in known for label, _ in tags] == [True] * 3
    assert sorted((p for _, p in tags), reverse=True) == [p for _, p in tags]


@pytest.mark.parametrize(
    "model, options, dim",
    [
        # With auxiliary heads, which are used in training only.
        ("googlenet", {"aux_logits": True, "init_weights": False}, 1024),
        ("googlenet", {"aux_logits": False, "init_weights": False}, 1024),
        # Reads a version number that torch.save writes beside the weights.
        ("mnasnet0_5", {}, 1280),
    ],
)
def test_a_file_that_torchvision_wrote_is_loaded(model, options, dim, tmp_path):
    network = models.get_model(model, weights=None, **options)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    encoder = Torchvision(model=model, weights=str(tmp_path / "w.pth"))
    assert encoder.encode([clock()]).shape == (1, 1, dim)


def test_published_weights_of_googlenet_are_loaded_as_by_torchvision(tmp_path, monkeypatch):
    published = models.googlenet(aux_logits=True, init_weights=False).state_dict()
    torch.save(published, tmp_path / "w.pth")
    monkeypatch.setattr(
        models.GoogLeNet_Weights, "get_state_dict", lambda *_, **options: published.copy()
    )
    reference = models.googlenet(weights="DEFAULT").eval()
    reference.fc = torch.nn.Identity()
    for weights in ("DEFAULT", str(tmp_path / "w.pth")):
        encoder = Torchvision(weights=weights)
        inputs = encoder.preprocessing(clock())[None]
        with torch.no_grad():
            expected = reference(inputs)
        features = torch.tensor(encoder.encode([clock()])[:, 0])
        torch.testing.assert_close(features, expected, rtol=1e-3, atol=0)


def test_published_parameter_names_of_densenet_are_converted(tmp_path):
    state = models.densenet121().state_dict()
    published = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name): tensor
        for name, tensor in state.items()
    }
    assert published.keys() != state.keys()
    torch.save(published, tmp_path / "densenet121.pth")
    network = Torchvision(model="densenet121", weights=str(tmp_path / "densenet121.pth")).load()
    assert all(torch.equal(state[name], now) for name, now in network.state_dict().items())
