"""Detectors of torchvision, with random weights: what they find means nothing, and is found."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from spacy.util import registry
from torchvision.models import detection, get_model, get_model_weights

from spacy_mner.images.detectors.object_detector import FIELDS, MAX_OBJECTS
from spacy_mner.images.detectors.torchvision_detector import TorchvisionDetector
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.reference import open_image

from ..samples import clock, noise

SMALL = "ssdlite320_mobilenet_v3_large"
DEFAULT = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module")
def detector() -> TorchvisionDetector:
    return TorchvisionDetector(model=SMALL, threshold=0.02)


@pytest.fixture(scope="module")
def default() -> TorchvisionDetector:
    return TorchvisionDetector(threshold=0.1)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return TorchvisionDetector(model=SMALL, seed=7).load().state_dict()


def test_the_registry_builds_it_and_loads_nothing():
    built = registry.object_detectors.get("spacy_mner.TorchvisionDetector.v1")()
    assert isinstance(built, TorchvisionDetector)
    assert built.fingerprint.startswith(DEFAULT) and built.threshold == 0.5
    assert built._network is None


def test_classes_have_the_names_of_coco(detector):
    assert (detector.labels[0], detector.labels[1], detector.labels[90]) == (
        "__background__",
        "person",
        "toothbrush",
    )


def test_what_is_found_is_what_the_network_finds(default):
    detector = default
    network, _ = detector._loaded()
    image = noise(60, 90)
    with torch.no_grad():
        [expected] = network([torch.tensor(image / 255.0).permute(2, 0, 1).float()])
    objects = detector.objects(detector.encode([image])[0])
    assert len(objects) == min(len(expected["labels"]), MAX_OBJECTS) > 0
    for i, one in enumerate(objects):
        assert one.label == detector.labels[expected["labels"][i]]
        assert one.score == pytest.approx(expected["scores"][i].item(), abs=1e-4)
        expected_box = expected["boxes"][i].numpy() / (90, 60, 90, 60)
        np.testing.assert_allclose(one.box, expected_box, atol=1e-4)


def test_only_objects_above_the_threshold_are_found_the_surest_first(detector):
    objects = detector.objects(detector.encode([clock()])[0])
    scores = [one.score for one in objects]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0.02
    middle = float(np.median(scores))
    higher = TorchvisionDetector(model=SMALL, threshold=middle)
    found = higher.objects(higher.encode([clock()])[0])
    assert [one.label for one in found] == [one.label for one in objects if one.score > middle]
    nothing = TorchvisionDetector(model=SMALL, threshold=1.0)
    assert not nothing.encode([clock()]).any()


def test_what_is_found_fits_into_the_store_and_comes_back(detector, tmp_path):
    image = open_image(noise(), None)
    asleep = TorchvisionDetector(model=SMALL, threshold=0.02)
    stores = [FeatureCache(network, memory_mb=1) for network in (detector, asleep)]
    for store in stores:
        store.folder = tmp_path
    [found], [again] = (store.features([image]) for store in stores)
    assert asleep._network is None
    np.testing.assert_array_equal(found, again)
    direct = detector.objects(detector.encode([noise()])[0])
    for one, other in zip(detector.objects(found), direct, strict=True):
        assert one.label == other.label
        assert one.score == pytest.approx(other.score, abs=1e-3)
        np.testing.assert_allclose(one.box, other.box, atol=1e-3)


def test_images_do_not_depend_on_those_beside_them(detector):
    images = [noise(30, 70), clock(), noise(64, 20)]
    together = detector.encode(images)
    assert together.shape == (3, MAX_OBJECTS, FIELDS) and together.dtype == np.float32
    for image, found in zip(images, together, strict=True):
        np.testing.assert_array_equal(detector.encode([image])[0], found)
    assert detector.encode([]).shape == (0, MAX_OBJECTS, FIELDS)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2500, 3000)])
def test_an_image_of_any_size_is_looked_at(detector, default, size):
    for one in (detector, default):
        found = one.encode([np.full((*size, 3), 90, dtype=np.uint8)])
        assert np.isfinite(found).all()
        assert found[..., 1:5].min() >= 0 and found[..., 1:5].max() <= 1


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone(detector):
    before = torch.get_rng_state()
    again = TorchvisionDetector(model=SMALL, threshold=0.02).encode([clock()])
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(again, detector.encode([clock()]))
    other = TorchvisionDetector(model=SMALL, threshold=0.02, seed=4).encode([clock()])
    assert not np.array_equal(again, other)


def test_detecting_changes_neither_weights_nor_statistics(detector):
    network, _ = detector._loaded()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    detector.encode([noise(), clock()])
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_local_file_is_used_whatever_its_format(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        loaded = TorchvisionDetector(model=SMALL, weights=str(tmp_path / name)).load().state_dict()
        assert all(torch.equal(state[key], loaded[key]) for key in state)


@pytest.fixture
def no_initialization(monkeypatch):
    """Networks are built at once, with what happens to be in memory."""
    names = ("constant_", "kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_")
    for name in names:
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


def made_up(name: str, like: torch.Tensor) -> torch.Tensor:
    if not like.is_floating_point():
        return torch.zeros_like(like, device="cpu")
    values = torch.randn(like.shape) / max(like[0].numel(), 1) ** 0.5
    # So small that what a normalization adds to it shows, and what comes out does not explode.
    is_norm = like.dim() == 1 and not name.startswith(("rpn", "roi"))
    return values.abs() * 1e-4 if name.endswith("running_var") else values * 1e-2**is_norm


@pytest.mark.parametrize("model", ["fasterrcnn_resnet50_fpn", DEFAULT])
def test_published_weights_give_what_torchvision_makes_of_them(
    model, tmp_path, monkeypatch, no_initialization
):
    """Torchvision's own builder, handed made-up weights as those it would have downloaded."""
    torch.manual_seed(0)
    with torch.device("meta"):
        skeleton = get_model(model, weights_backbone=None).state_dict()
    published = {
        name: made_up(name, tensor)
        for name, tensor in skeleton.items()
        if not name.endswith("num_batches_tracked")
    }
    asked = []

    def fetch(entry, **options):
        asked.append(options["check_hash"])
        return dict(published)

    monkeypatch.setattr(get_model_weights(model), "get_state_dict", fetch)
    torch.save(published, tmp_path / "w.pth")
    theirs = get_model(model, weights="DEFAULT").eval()
    ours = TorchvisionDetector(model=model, weights="DEFAULT").load().eval()
    local = TorchvisionDetector(model=model, weights=str(tmp_path / "w.pth")).load().eval()
    assert asked == [True, True]
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, *others = (list(one.backbone(images).values()) for one in (theirs, ours, local))
    for other in others:
        for one, the_same in zip(expected, other, strict=True):
            assert one.isfinite().all() and one.std() > 0
            torch.testing.assert_close(the_same, one, rtol=1e-3, atol=1e-3 * one.std().item())


def test_nothing_is_downloaded_for_random_weights_or_a_file(tmp_path, state, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("a download")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    torch.save(state, tmp_path / "w.pth")
    for weights in (None, str(tmp_path / "w.pth")):
        TorchvisionDetector(model=SMALL, weights=weights).load()


def test_a_failing_download_says_what_to_do(monkeypatch):
    def fail(entry, **options):
        raise OSError("no route to host")

    table = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights
    monkeypatch.setattr(table, "get_state_dict", fail)
    with pytest.raises(OSError, match=r"cannot download .*no route.*name its path"):
        TorchvisionDetector(weights="DEFAULT").encode([clock()])


def test_the_fingerprint_tells_detectors_apart(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    settings = [
        {},
        {"seed": 1},
        {"threshold": 0.4},
        {"model": SMALL},
        {"weights": "COCO_V1"},
        {"model": SMALL, "weights": str(tmp_path / "w.pth")},
    ]
    detectors = [TorchvisionDetector(**one) for one in settings]
    assert len({one.fingerprint for one in detectors}) == len(settings)
    assert all(one._network is None for one in detectors)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"model": "fasterrcnn_mobilenet_v3_320"}, "no detector .* it has fasterrcnn_mobilenet_v3"),
        ({"model": "resnet18"}, "no detector 'resnet18'"),
        ({"weights": "COCO"}, r"no weights 'COCO'.*COCO_V1, DEFAULT"),
    ],
)
def test_a_misspelt_name_is_answered_by_those_that_exist(settings, error):
    with pytest.raises(ValueError, match=error):
        _ = TorchvisionDetector(**settings).fingerprint


def test_a_file_that_is_missing_or_of_another_model_is_told(tmp_path, state):
    with pytest.raises(FileNotFoundError, match=r"gone\.pth"):
        TorchvisionDetector(weights=str(tmp_path / "gone.pth")).encode([clock()])
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=f"do not fit {DEFAULT}"):
        TorchvisionDetector(weights=str(tmp_path / "w.pth")).encode([clock()])


def test_a_threshold_that_is_no_score_is_refused():
    with pytest.raises(ValueError, match="threshold must be between 0 and 1"):
        TorchvisionDetector(threshold=1.5)


def test_a_pickle_leaves_the_weights_out(detector):
    expected = detector.encode([clock()])
    small = pickle.dumps(detector)
    assert len(small) < 5000
    np.testing.assert_array_equal(pickle.loads(small).encode([clock()]), expected)


def test_a_detector_sees_the_image_as_a_person_does(detector):
    wide = noise(40, 60)
    turned = Image.fromarray(np.rot90(wide).copy())
    turned.getexif()[0x0112] = 6
    store = FeatureCache(detector, memory_mb=1)
    seen = store.features([open_image(one, None) for one in (wide, turned)])
    np.testing.assert_array_equal(*seen)
