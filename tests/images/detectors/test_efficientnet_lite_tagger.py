"""Objects by the classes of ImageNet, on images of the sample corpus."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from spacy.util import registry

from spacy_mner.images.detectors.efficientnet_lite_tagger import EfficientNetLiteTagger
from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite
from spacy_mner.images.reference import open_image

ASSETS = Path(__file__).parents[3] / "assets" / "images"
IMAGES = [open_image(path, None).pixels() for path in sorted(ASSETS.glob("*.*"))[:5]]


@pytest.fixture(scope="module")
def detector() -> EfficientNetLiteTagger:
    return registry.object_detectors.get("spacy_mner.EfficientNetLiteTagger.v1")(threshold=0.1)


def test_objects_are_the_likely_classes_of_the_encoder_the_surest_first(detector):
    tags = EfficientNetLite().tags(IMAGES, k=9)
    for found, expected in zip(map(detector.objects, detector.encode(IMAGES)), tags, strict=True):
        likely = [(label, score) for label, score in expected if score > 0.15]
        shown = [(one.label, one.score) for one in found]
        assert [label for label, _ in shown[: len(likely)]] == [label for label, _ in likely]
        # The encoder's own way to make an image smaller is another one.
        assert [score for _, score in shown[: len(likely)]] == pytest.approx(
            [score for _, score in likely], abs=0.1
        )
        assert all(one.box == (0, 0, 1, 1) and one.score >= 0.1 for one in found)


def test_what_is_found_does_not_depend_on_the_images_beside_it(detector):
    together = detector.encode(IMAGES)
    alone = np.concatenate([detector.encode([image]) for image in IMAGES])
    np.testing.assert_array_equal(together, alone)


def test_a_threshold_of_one_finds_nothing():
    found = EfficientNetLiteTagger(threshold=1.0).encode(IMAGES[:1])
    assert not found.any()


def test_a_threshold_outside_zero_and_one_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        EfficientNetLiteTagger(threshold=2)


def test_a_copy_finds_the_same_and_has_the_same_fingerprint(detector):
    copied = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(copied.encode(IMAGES[:2]), detector.encode(IMAGES[:2]))
    assert copied.fingerprint == detector.fingerprint != EfficientNetLiteTagger().fingerprint
