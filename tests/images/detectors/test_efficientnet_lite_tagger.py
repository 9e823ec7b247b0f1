"""ImageNet tags of whole images of the sample corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
from spacy.util import registry

from spacy_mner.images.detectors.efficientnet_lite_tagger import EfficientNetLiteTagger
from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite
from spacy_mner.images.reference import open_image

ASSETS = Path(__file__).parents[3] / "assets" / "images"
IMAGES = [open_image(path, None).pixels() for path in sorted(ASSETS.glob("*.*"))[:5]]


@pytest.fixture(scope="module")
def tagger() -> EfficientNetLiteTagger:
    return registry.object_detectors.get("spacy_mner.EfficientNetLiteTagger.v1")(threshold=0.1)


def test_tags_are_the_most_probable_classes_of_the_encoder(tagger):
    expected_tags = EfficientNetLite().tags(IMAGES, k=9)
    for found, expected in zip(tagger.compute(IMAGES), expected_tags, strict=True):
        probable = [(label, score) for label, score in expected if score > 0.15]
        assert [one.label for one in found[: len(probable)]] == [label for label, _ in probable]
        # The encoder resizes with another algorithm.
        assert [one.score for one in found[: len(probable)]] == pytest.approx(
            [score for _, score in probable], abs=0.1
        )
        assert all(one.box == (0, 0, 1, 1) and one.score >= 0.1 for one in found)


def test_a_threshold_of_one_returns_no_tags():
    assert EfficientNetLiteTagger(threshold=1.0).compute(IMAGES[:1]) == [[]]
