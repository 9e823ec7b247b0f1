from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite
from spacy_mner.images.encoders.image_encoder import Outputs, Preprocessing
from spacy_mner.images.encoders.torchvision_encoder import Torchvision

from ..samples import clock, noise


def test_preprocessing_normalizes_each_channel():
    prepare = Preprocessing(size=2, mean=(0.0, 10.0, 20.0), std=(1.0, 2.0, 4.0))
    inputs = prepare(np.full((2, 2, 3), 100, np.uint8))
    assert inputs.dtype == torch.float32
    assert inputs[:, 0, 0].tolist() == [100.0, 45.0, 20.0]


def test_preprocessing_does_not_crop_a_wide_image():
    image = np.zeros((10, 100, 3), np.uint8)
    image[:, :10, 0], image[:, -10:, 2] = 255, 255
    inputs = Preprocessing(20, (0.0,) * 3, (1.0,) * 3, Image.Resampling.BOX)(image)
    assert inputs.shape == (3, 20, 20)
    assert (inputs[0, :, :2] == 255).all() and (inputs[2, :, -2:] == 255).all()


class DeviceRecorder(EfficientNetLite):
    """Records the devices that the network and its inputs are on."""

    def __init__(self) -> None:
        super().__init__(runtime="torch")
        self.devices = []

    def run(self, network, inputs):
        self.devices += [next(network.parameters()).device, inputs.device]
        n = len(inputs)
        return Outputs(features=torch.zeros(n, 1, self.dim), logits=torch.zeros(n, 1000))


def test_an_encoder_first_used_in_another_thread_computes_on_the_given_device():
    """Thinc's own device is a ContextVar: in a new thread it is the CPU again."""
    encoder, meta = DeviceRecorder(), torch.device("meta")
    images = [noise()] * 65
    with ThreadPoolExecutor(1) as pool:
        features = pool.submit(encoder.encode, images, meta).result()
    assert features.shape == (65, 1, 1280)
    assert encoder.devices == [meta] * 4  # two batches of at most 64 images


def test_the_network_follows_when_the_device_changes():
    encoder = DeviceRecorder()
    for device in ("cpu", "meta"):
        encoder.devices.clear()
        encoder.encode([noise()], torch.device(device))
        assert {one.type for one in encoder.devices} == {device}


@pytest.mark.parametrize(
    "encoder", [EfficientNetLite(), Torchvision(model="squeezenet1_1")], ids=["lite", "random"]
)
def test_concurrent_threads_get_the_features_of_their_own_images(encoder):
    images = [noise(seed=i) // (i + 1) for i in range(8)]
    expected = [encoder.encode([image]) for image in images] * 4
    with ThreadPoolExecutor(8) as pool:
        features = list(pool.map(lambda image: encoder.encode([image]), images * 4))
    assert all(np.allclose(a, b, rtol=1e-3) for a, b in zip(features, expected, strict=True))


def test_the_fingerprint_and_the_shape_of_features_depend_on_the_regions():
    whole, grid = EfficientNetLite(), EfficientNetLite(regions="grid")
    assert whole.fingerprint != grid.fingerprint
    assert (whole.n_regions, grid.n_regions) == (1, 49)
    assert whole.encode([]).shape == (0, 1, 1280) and whole.tags([]) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees_with_the_cpu():
    images = [clock(), noise(), noise(seed=1)]
    expected = EfficientNetLite().encode(images)
    features = EfficientNetLite().encode(images, torch.device("cuda:0"))
    assert np.allclose(features, expected, atol=2e-2)
