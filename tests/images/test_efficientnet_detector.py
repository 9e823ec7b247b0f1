"""Objects by the classes of ImageNet, on pictures of the sample corpus."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from spacy.util import registry

from spacy_mner.images.efficientnet import EfficientNetLite
from spacy_mner.images.efficientnet_detector import EfficientNetLiteDetector
from spacy_mner.images.reference import open_picture

ASSETS = Path(__file__).parents[2] / "assets" / "pictures"
PICTURES = [open_picture(path, None).pixels() for path in sorted(ASSETS.glob("*.*"))[:5]]


@pytest.fixture(scope="module")
def detector() -> EfficientNetLiteDetector:
    return registry.object_detectors.get("spacy_mner.EfficientNetLiteDetector.v1")(threshold=0.1)


def test_objects_are_the_likely_classes_of_the_encoder_the_surest_first(detector):
    tags = EfficientNetLite().tags(PICTURES, k=9)
    for found, expected in zip(map(detector.objects, detector.encode(PICTURES)), tags, strict=True):
        likely = [(label, score) for label, score in expected if score > 0.15]
        shown = [(one.label, one.score) for one in found]
        assert [label for label, _ in shown[: len(likely)]] == [label for label, _ in likely]
        # The encoder's own way to make a picture smaller is another one.
        assert [score for _, score in shown[: len(likely)]] == pytest.approx(
            [score for _, score in likely], abs=0.1
        )
        assert all(one.box == (0, 0, 1, 1) and one.score >= 0.1 for one in found)


def test_what_is_found_does_not_depend_on_the_pictures_beside_it(detector):
    together = detector.encode(PICTURES)
    alone = np.concatenate([detector.encode([picture]) for picture in PICTURES])
    np.testing.assert_array_equal(together, alone)


def test_a_threshold_of_one_finds_nothing():
    found = EfficientNetLiteDetector(threshold=1.0).encode(PICTURES[:1])
    assert not found.any()


def test_a_threshold_outside_zero_and_one_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        EfficientNetLiteDetector(threshold=2)


def test_a_copy_finds_the_same_and_has_the_same_fingerprint(detector):
    copied = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(copied.encode(PICTURES[:2]), detector.encode(PICTURES[:2]))
    assert copied.fingerprint == detector.fingerprint != EfficientNetLiteDetector().fingerprint
