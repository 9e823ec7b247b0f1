from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite
from spacy_mner.images.encoders.image_encoder import Preprocessing, make_fingerprint
from spacy_mner.images.encoders.torchvision_encoder import Torchvision

from ..samples import clock, noise


def test_preprocessing_normalizes_each_channel():
    prepare = Preprocessing(size=2, mean=(0.0, 10.0, 20.0), std=(1.0, 2.0, 4.0))
    inputs = prepare(np.full((2, 2, 3), 100, np.uint8))
    assert inputs.dtype == torch.float32
    assert inputs[:, 0, 0].tolist() == [100.0, 45.0, 20.0]


def test_preprocessing_keeps_the_whole_of_a_wide_image():
    image = np.zeros((10, 100, 3), np.uint8)
    image[:, :10, 0], image[:, -10:, 2] = 255, 255
    inputs = Preprocessing(20, (0.0,) * 3, (1.0,) * 3, Image.Resampling.BOX)(image)
    assert inputs.shape == (3, 20, 20)
    assert (inputs[0, :, :2] == 255).all() and (inputs[2, :, -2:] == 255).all()


def test_a_fingerprint_depends_on_every_fact_and_fits_a_folder_name():
    plain = Preprocessing(size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    other = Preprocessing(size=2, mean=(0.0,) * 3, std=(2.0,) * 3)
    names = {
        make_fingerprint("a", weights="w", preprocessing=plain),
        make_fingerprint("a", weights="v", preprocessing=plain),
        make_fingerprint("a", weights="w", preprocessing=other),
    }
    assert len(names) == 3
    assert all(name.startswith("a-") and name.replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("encoder", [EfficientNetLite, Torchvision])
def test_other_regions_are_refused_by_name(encoder):
    with pytest.raises(ValueError, match='"global" or "grid", not \'whole\''):
        encoder(regions="whole")


def test_importing_the_package_of_images_imports_no_model_library():
    code = (
        "import sys, spacy_mner, spacy_mner.images, spacy_mner.images.feature_cache\n"
        "import spacy_mner.images.encoders.efficientnet_lite\n"
        "import spacy_mner.images.encoders.torchvision_encoder\n"
        "heavy = {'torchvision', 'transformers', 'efficientnet_lite_pytorch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_accelerator_agrees_with_the_cpu(monkeypatch):
    images = [clock(), noise(), noise(seed=1)]
    expected = EfficientNetLite().encode(images)
    monkeypatch.setattr(
        "spacy_mner.images.encoders.image_encoder.get_torch_default_device",
        lambda: torch.device("cuda"),
    )
    assert np.allclose(EfficientNetLite().encode(images), expected, atol=2e-2)
