from __future__ import annotations

import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from spacy.util import registry
from torchvision import models

from spacy_mner.images.encoders.torchvision_encoder import Torchvision

from ..samples import clock, noise

SMALL = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return models.get_model(SMALL, weights=None).state_dict()


def test_it_is_registered():
    built = registry.image_encoders.get("spacy_mner.Torchvision.v1")()
    assert isinstance(built, Torchvision)
    assert (built.model.name, built.model.weights, built.regions) == ("googlenet", None, "global")


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
        ("vit_h_14", 1280, 1369, 1280),
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


def test_global_features_are_the_input_of_the_classifier(tmp_path):
    network = models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    encoder = Torchvision(model="resnet18", weights=str(tmp_path / "resnet18.pth"))
    preset = models.ResNet18_Weights.DEFAULT.transforms()
    small = Image.fromarray(clock()).resize((224, 224), Image.Resampling.BILINEAR)
    inputs = torch.tensor(np.asarray(small) / 255.0).permute(2, 0, 1).float()
    inputs = (inputs - torch.tensor(preset.mean)[:, None, None]) / torch.tensor(preset.std)[
        :, None, None
    ]
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        hidden = network(inputs[None]).numpy()
    assert np.allclose(encoder.encode([clock()])[:, 0], hidden, rtol=1e-3, atol=1e-3)


def test_the_grid_of_a_residual_network_has_the_global_vector_as_its_mean():
    whole, grid = (Torchvision(model="resnet18", regions=r) for r in ("global", "grid"))
    expected = whole.encode([clock()])
    assert np.allclose(grid.encode([clock()]).mean(1), expected[:, 0], rtol=1e-3, atol=1e-3)


def test_the_input_size_depends_on_model_and_weights():
    assert Torchvision(model="inception_v3").preprocessing.size == 299
    assert Torchvision(model="vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1").preprocessing.size == 384
    assert (
        Torchvision(model="vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1", regions="grid").n_regions
        == 576
    )


@pytest.mark.slow
def test_random_weights_depend_on_the_seed_and_not_on_the_global_random_state():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Torchvision(model=SMALL, seed=3).encode([clock()])
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert np.array_equal(first, Torchvision(model=SMALL, seed=3).encode([clock()]))
    assert not np.allclose(first, Torchvision(model=SMALL, seed=4).encode([clock()]))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["googlenet", "mobilenet_v3_small", "resnet50"])
def test_features_of_random_weights_are_representable_in_half_precision(model):
    features = Torchvision(model=model).encode([clock(), noise()])[:, 0]
    assert 1e-2 < features.std() < 1e3
    halved = features.astype(np.float16).astype(np.float32)
    assert np.allclose(features, halved, rtol=1e-2, atol=1e-2 * features.std())
    assert np.abs(features[0] - features[1]).mean() > 0.1 * features.std()


def test_encoding_changes_neither_weights_nor_statistics():
    encoder = Torchvision(model=SMALL)
    network, _ = encoder.network_on(None)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    encoder.encode([noise(), clock()])
    encoder.tags([noise()])
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert not any(module.training for module in network.modules())


@pytest.mark.slow
def test_weights_are_loaded_from_files_of_both_formats(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    pickled = Torchvision(model=SMALL, weights=str(tmp_path / "w.pth"))
    safe = Torchvision(model=SMALL, weights=str(tmp_path / "w.safetensors"))
    assert np.array_equal(pickled.encode([clock()]), safe.encode([clock()]))
    loaded = pickled.network_on(None)[0].state_dict()
    assert all(torch.equal(state[name], loaded[name]) for name in state)


def test_the_fingerprint_depends_on_model_weights_seed_and_regions(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    torch.save({**state, "fc.bias": state["fc.bias"] + 1}, tmp_path / "b.pth")
    torch.save(state, tmp_path / "copy.pth")
    encoders = {
        name: Torchvision(model=SMALL, weights=weights, seed=seed, regions=regions)
        for name, weights, seed, regions in [
            ("random 0", None, 0, "global"),
            ("random 1", None, 1, "global"),
            ("grid", None, 0, "grid"),
            ("named", "IMAGENET1K_V1", 0, "global"),
            ("a", str(tmp_path / "a.pth"), 0, "global"),
            ("b", str(tmp_path / "b.pth"), 0, "global"),
        ]
    }
    assert len({encoder.fingerprint for encoder in encoders.values()}) == len(encoders)
    copy = Torchvision(model=SMALL, weights=str(tmp_path / "copy.pth"))
    assert (copy.fingerprint == encoders["a"].fingerprint) == (
        (tmp_path / "copy.pth").read_bytes() == (tmp_path / "a.pth").read_bytes()
    )
    assert all(encoder._network is None for encoder in encoders.values())


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


def test_auxiliary_heads_in_a_googlenet_file_are_ignored(tmp_path):
    network = models.googlenet(aux_logits=True, init_weights=False)
    torch.save(network.state_dict(), tmp_path / "googlenet.pth")
    encoder = Torchvision(weights=str(tmp_path / "googlenet.pth"))
    assert encoder.encode([clock()]).shape == (1, 1, 1024)


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


def test_named_weights_are_downloaded_at_first_use_with_a_hash_check(monkeypatch, state):
    table = models.ShuffleNet_V2_X0_5_Weights
    requested = []

    def fetch(entry, **options):
        requested.append((entry, options["check_hash"]))
        return state

    monkeypatch.setattr(table, "get_state_dict", fetch)
    encoder = Torchvision(model=SMALL, weights="DEFAULT")
    assert encoder.dim and encoder.fingerprint and not requested
    encoder.encode([clock()])
    assert requested == [(table.IMAGENET1K_V1, True)]


def test_a_failed_download_names_the_url_and_the_cause(monkeypatch):
    def fail(entry, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(models.ShuffleNet_V2_X0_5_Weights, "get_state_dict", fail)
    with pytest.raises(OSError, match=r"shufflenetv2.*\.pth .*no route"):
        Torchvision(model=SMALL, weights="DEFAULT").encode([clock()])


def test_an_unknown_model_is_reported_with_similar_names():
    with pytest.raises(ValueError, match="googlenet"):
        _ = Torchvision(model="gogglenet").dim


def test_unknown_weights_are_reported_with_the_available_ones():
    with pytest.raises(ValueError, match="IMAGENET1K_V1"):
        _ = Torchvision(model=SMALL, weights="IMAGENET").dim


def test_a_missing_file_is_reported_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.pth"):
        Torchvision(model=SMALL, weights=str(tmp_path / "gone.pth")).encode([clock()])


def test_weights_of_another_model_are_rejected(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="resnet18"):
        Torchvision(model="resnet18", weights=str(tmp_path / "w.pth")).encode([clock()])


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", ["code", "list", "noise", "nothing"])
def test_a_file_without_a_state_dict_is_rejected_and_not_executed(tmp_path, suffix, content):
    path = tmp_path / f"w.{suffix}"
    if content == "code":
        path.write_bytes(pickle.dumps(Exploit(str(tmp_path / "executed")), protocol=2))
    elif content == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(b"noise" * 40 if content == "noise" else b"")
    with pytest.raises(ValueError, match=rf"w\.{suffix} is not a state dict"):
        Torchvision(model=SMALL, weights=str(path)).encode([clock()])
    assert not (tmp_path / "executed").exists()


class Exploit:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self):
        import os

        return os.mkdir, (self.folder,)


def test_concurrent_threads_get_their_own_features():
    encoder = Torchvision(model=SMALL)
    images = [noise(seed=i) // (i + 1) for i in range(8)]
    expected = [encoder.encode([image]) for image in images]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda image: encoder.encode([image]), images * 4))
    assert all(np.allclose(a, e, rtol=1e-3) for a, e in zip(answers, expected * 4, strict=True))


def test_a_pickle_does_not_contain_the_weights():
    encoder = Torchvision(model=SMALL)
    expected = encoder.encode([clock()])
    small = pickle.dumps(encoder)
    assert len(small) < 1000
    assert np.array_equal(pickle.loads(small).encode([clock()]), expected)
