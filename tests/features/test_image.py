from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spacy.tokens import Doc

from spacy_mner.errors import ImageError
from spacy_mner.features import ImageFeaturizer
from spacy_mner.features.batch import PostBatch
from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite
from spacy_mner.images.feature_cache import FeatureCache

from .posts import initialize, post


def with_encoder(images_root: Path, **settings: Any) -> ImageFeaturizer:
    featurizer = ImageFeaturizer(FeatureCache(EfficientNetLite(**settings), memory_mb=16))
    featurizer.images_root = images_root
    return featurizer


def features_of(featurizer: ImageFeaturizer, *docs: Doc) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of the posts, and their statuses."""
    features = featurizer(PostBatch.from_docs(docs))
    return features.arrays, [str(status) for status in features.statuses]


@pytest.fixture
def featurizer() -> ImageFeaturizer:
    return initialize(ImageFeaturizer(None), post(image_features=np.zeros(3)))


def test_descriptors_of_one_and_several_regions_are_padded(featurizer):
    grid = np.arange(6, dtype=np.float32).reshape(2, 3)
    docs = [post(image_features=grid), post(), post(image_features=[7.0, 8.0, 9.0])]
    features, statuses = features_of(featurizer, *docs)
    assert features["available"].tolist() == [[True, True], [False, False], [True, False]]
    np.testing.assert_array_equal(features["regions"][0], grid)
    np.testing.assert_array_equal(features["regions"][2], [[7, 8, 9], [0, 0, 0]])
    assert not features["regions"][1].any()
    assert statuses == ["used", "absent", "used"]


@pytest.mark.parametrize(
    "value, reason",
    [
        (np.zeros(4), r"shape: \[4\]"),
        (np.zeros((2, 2, 3)), "shape"),
        (np.array([1.0, np.nan, 0.0]), "not within"),
        (np.array([1.0, 1e30, 0.0]), "not within"),
        (np.zeros((0, 3)), "no regions"),
        ("not numbers", "not an array"),
        ([10**400, 0, 0], "not an array"),
        (ImageError("unusable"), "unusable"),
    ],
)
def test_an_invalid_descriptor_is_masked_with_the_reason(featurizer, value, reason):
    features, [status] = features_of(featurizer, post(image_features=value))
    assert not features["available"].any()
    assert re.match(f"unreadable: .*{reason}", status)


def test_without_an_encoder_an_image_is_masked_unless_the_post_has_a_descriptor(featurizer):
    docs = post(image="gone.jpg"), post(image="gone.jpg", image_features=np.ones(3))
    _, [status, with_descriptor] = features_of(featurizer, *docs)
    assert status.startswith("unreadable: ") and "takes image_features" in status
    assert with_descriptor == "used"


def test_the_regions_of_several_images_are_concatenated(images):
    docs = [post(image=["car.png", "animal.png"]), post(image="car.png")]
    features, _ = features_of(with_encoder(images), *docs)
    assert features["available"].tolist() == [[True, True], [True, False]]
    np.testing.assert_array_equal(features["regions"][0, 0], features["regions"][1, 0])
    assert np.abs(features["regions"][0, 1] - features["regions"][0, 0]).max() > 0.01


def test_regions_of_counts_the_regions_of_each_image(images):
    featurizer = with_encoder(images, regions="grid")
    doc = post(image=["gone.png", "car.png", b"no image", "car.png"])
    assert featurizer.regions_of(doc) == [0, 49, 0, 49]
    assert featurizer.regions_of(post(image_features=np.ones((3, 1280)))) == [3]
    assert featurizer.regions_of(post()) == []


@pytest.mark.parametrize(
    ("has_encoder", "widths", "error"),
    [(True, [3], "1280"), (False, [3, 4], "3 and 4"), (False, [], "--features")],
    ids=["not that of the encoder", "different", "none"],
)
def test_descriptors_of_unusable_widths_are_rejected_in_training(
    images, has_encoder, widths, error
):
    featurizer = with_encoder(images) if has_encoder else ImageFeaturizer(None)
    with pytest.raises(ValueError, match=error):
        initialize(featurizer, post(), *[post(image_features=np.zeros(n)) for n in widths])


def test_some_unreadable_training_images_are_no_error(images):
    names = ["gone.png"] * 15 + ["car.png"] + ["gone.png"] * 10
    featurizer = initialize(with_encoder(images), *[post(image=name) for name in names])
    assert featurizer.dims() == {"dim": 1280}


@pytest.mark.parametrize("n", [1, 20])
def test_training_without_any_readable_image_is_an_error_naming_images_root(images, n):
    posts = [post(image="car.png")] * n
    featurizer = with_encoder(images / "elsewhere")
    with pytest.raises(ValueError, match="images_root"):
        initialize(featurizer, *posts)
    featurizer.images_root = images
    initialize(featurizer, *posts)


def test_another_initialization_resets_the_width(featurizer):
    initialize(featurizer, post(image_features=np.zeros(5)))
    assert featurizer.dims() == {"dim": 5}
