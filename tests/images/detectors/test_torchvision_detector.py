"""TorchvisionDetector with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_model, get_model_weights

from spacy_mner.images.detectors.object_detector import MAX_OBJECTS
from spacy_mner.images.detectors.torchvision_detector import TorchvisionDetector
from spacy_mner.images.disk_cache import DiskCache
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.reference import open_image

from ..samples import clock, noise

SMALL = "ssdlite320_mobilenet_v3_large"
DEFAULT = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module")
def detector() -> TorchvisionDetector:
    return calibrated(model=SMALL, threshold=0.02)


@pytest.fixture(scope="module")
def default() -> TorchvisionDetector:
    return calibrated(threshold=0.1)


def calibrated(**settings: Any) -> TorchvisionDetector:
    """Set the statistics of batch normalization layers from a batch of random images.

    Without it, a deep network with random weights returns almost the same for every image.
    """
    detector = TorchvisionDetector(**settings)
    network, _ = detector.network_on(None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train().momentum = 1.0
    coarse = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network(torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bilinear"))
    network.eval()
    return detector


def test_labels_are_the_class_names_of_coco(detector):
    assert [detector.labels[i] for i in (0, 1, 90)] == ["__background__", "person", "toothbrush"]


def test_objects_equal_the_output_of_the_network(default):
    detector = default
    network, _ = detector.network_on(None)
    image = noise(60, 90)
    with torch.no_grad():
        [expected] = network([torch.tensor(image / 255.0).permute(2, 0, 1).float()])
    objects = detector.compute([image])[0]
    assert len(objects) == min(len(expected["labels"]), MAX_OBJECTS) > 0
    for i, one in enumerate(objects):
        assert one.label == detector.labels[expected["labels"][i]]
        assert one.score == pytest.approx(expected["scores"][i].item(), abs=1e-4)
        expected_box = expected["boxes"][i].numpy() / (90, 60, 90, 60)
        np.testing.assert_allclose(one.box, expected_box, atol=1e-4)


def test_objects_are_above_the_threshold_and_sorted_by_score(detector):
    objects = detector.compute([clock()])[0]
    scores = [one.score for one in objects]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0.02
    middle = float(np.median(scores))
    higher = calibrated(model=SMALL, threshold=middle)
    found = higher.compute([clock()])[0]
    assert [one.label for one in found] == [one.label for one in objects if one.score > middle]
    nothing = calibrated(model=SMALL, threshold=1.0)
    assert nothing.compute([clock()]) == [[]]


def test_detected_objects_are_cached_on_disk(detector, tmp_path):
    image = open_image(noise(), None)
    not_loaded = TorchvisionDetector(model=SMALL, threshold=0.02)
    caches = [FeatureCache(network, memory_mb=1) for network in (detector, not_loaded)]
    for cache in caches:
        cache.disk = DiskCache(tmp_path)
    [found], [again] = (cache.results([image]) for cache in caches)
    assert not_loaded._network is None
    assert again == found == detector.compute([noise()])[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2500, 3000)])
def test_images_of_extreme_sizes_have_valid_boxes(detector, default, size):
    for one in (detector, default):
        [found] = one.compute([np.full((*size, 3), 90, dtype=np.uint8)])
        assert one.from_bytes(one.to_bytes(found)) == found


@pytest.fixture
def no_initialization(monkeypatch):
    """Builds networks fast, with uninitialized weights."""
    names = ("constant_", "kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_")
    for name in names:
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


def random_values(name: str, like: torch.Tensor) -> torch.Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like, device="cpu")
    values = torch.randn(like.shape) / max(like[0].numel(), 1) ** 0.5
    # Variances comparable to eps, so that its value matters.
    is_norm = like.dim() == 1 and not name.startswith(("rpn", "roi"))
    return values.abs() * 1e-4 if name.endswith("running_var") else values * 1e-2**is_norm


@pytest.mark.parametrize("model", ["fasterrcnn_resnet50_fpn", DEFAULT])
def test_published_weights_are_loaded_as_by_torchvision(
    model, tmp_path, monkeypatch, no_initialization
):
    """The download of torchvision's own builder is replaced by random values."""
    torch.manual_seed(0)
    with torch.device("meta"):
        skeleton = get_model(model, weights_backbone=None).state_dict()
    published = {
        name: random_values(name, tensor)
        for name, tensor in skeleton.items()
        if not name.endswith("num_batches_tracked")
    }
    hash_checks = []

    def fetch(entry, **options):
        hash_checks.append(options["check_hash"])
        return dict(published)

    monkeypatch.setattr(get_model_weights(model), "get_state_dict", fetch)
    torch.save(published, tmp_path / "w.pth")
    reference = get_model(model, weights="DEFAULT").eval()
    named = TorchvisionDetector(model=model, weights="DEFAULT").load().eval()
    local = TorchvisionDetector(model=model, weights=str(tmp_path / "w.pth")).load().eval()
    assert hash_checks == [True, True]
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, *others = (
            list(one.backbone(images).values()) for one in (reference, named, local)
        )
    for other in others:
        for one, the_same in zip(expected, other, strict=True):
            assert one.isfinite().all() and one.std() > 0
            torch.testing.assert_close(the_same, one, rtol=1e-3, atol=1e-3 * one.std().item())
