"""Image encoders converted to ONNX, against the encoders in torch that they were made from."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spacy_mner.errors import UsageError
from spacy_mner.images.encoders.huggingface_vision import HuggingFaceVision
from spacy_mner.images.encoders.onnx_encoder import OnnxEncoder, export_image_encoder
from spacy_mner.images.encoders.saved_encoder import SavedEncoder
from spacy_mner.images.encoders.torchvision_encoder import Torchvision
from spacy_mner.utils.onnx_graph import export_graph

from ...encoders import VISION_MODELS, write_vision
from ..samples import clock, noise

for package in ("transformers", "onnxruntime", "onnx", "onnxscript"):
    pytest.importorskip(package)

IMAGES = [clock(), noise(20, 90)]
ON_HUB = [pytest.param(kind, marks=pytest.mark.slow) for kind in VISION_MODELS]


def source_of(kind: str, folder: Path, regions: str) -> SavedEncoder:
    if kind in VISION_MODELS:
        return HuggingFaceVision(name=str(write_vision(folder, kind)), regions=regions)
    return Torchvision(model=kind, regions=regions)


def converted(source: SavedEncoder) -> OnnxEncoder:
    encoder = OnnxEncoder(regions=source.regions)
    encoder.restore(export_image_encoder(source))
    return encoder


@pytest.fixture(scope="module")
def source() -> Torchvision:
    return Torchvision(model="squeezenet1_1")


@pytest.fixture(scope="module")
def encoder(source) -> OnnxEncoder:
    return converted(source)


@pytest.mark.parametrize("regions", ["global", "grid"])
@pytest.mark.parametrize("kind", ["resnet18", *ON_HUB])
def test_features_equal_those_of_torch(kind, regions, tmp_path):
    source = source_of(kind, tmp_path / kind, regions)
    encoder = converted(source)
    assert (encoder.n_regions, encoder.dim) == (source.n_regions, source.dim)
    expected = source.encode(IMAGES)
    np.testing.assert_allclose(encoder.encode(IMAGES), expected, atol=1e-3 * expected.max())
    assert encoder.fingerprint != source.fingerprint


@pytest.mark.parametrize("device", [None, "cpu", "cuda"])
def test_a_batch_is_one_image_as_in_the_graph(encoder, device):
    assert encoder.batch_size(device and torch.device(device)) == 1


def test_the_source_stays_as_it_is(source, encoder):
    again = Torchvision(model="squeezenet1_1")
    assert source.fingerprint == again.fingerprint
    np.testing.assert_array_equal(source.encode(IMAGES), again.encode(IMAGES))


def test_a_saved_and_a_pickled_encoder_compute_the_same(encoder):
    loaded = OnnxEncoder()
    loaded.restore(encoder.weights_to_bytes(torch.float16))
    for one in (loaded, pickle.loads(pickle.dumps(encoder))):
        assert one.fingerprint == encoder.fingerprint
        np.testing.assert_array_equal(one.encode(IMAGES), encoder.encode(IMAGES))


def test_an_encoder_without_a_graph_and_training_are_refused(encoder):
    with pytest.raises(UsageError, match="spacy-mner optimize"):
        OnnxEncoder().encode(IMAGES)
    with pytest.raises(UsageError, match="spacy-mner optimize"):
        encoder.check_trainable(is_trained=False)


def test_a_network_that_cannot_be_exported_is_named():
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UsageError, match="the encoder Branching"):
        export_graph(Branching().eval(), {"x": torch.zeros(2)}, "Branching")
