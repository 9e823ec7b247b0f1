from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.batch import PostBatch
from spacy_mner.featurize import PictureFeaturizer
from spacy_mner.featurize.status import PictureWarning
from spacy_mner.images.limits import PictureError

NLP = spacy.blank("en")


def post(**attributes: Any) -> Doc:
    doc = NLP.make_doc("a post")
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def settled(*docs: Doc) -> PictureFeaturizer:
    """A featurizer of descriptors, as trained on these posts."""
    featurizer = PictureFeaturizer(None)
    for doc in docs:
        featurizer.observe(doc, None)
    featurizer.settle()
    return featurizer


@pytest.fixture
def featurizer() -> PictureFeaturizer:
    return settled(post(image_features=np.zeros(3)))


def test_descriptors_of_one_and_of_several_regions_come_into_one_memory(featurizer):
    grid = np.arange(6, dtype=np.float32).reshape(2, 3)
    batch = PostBatch.from_docs(
        [post(image_features=grid), post(), post(image_features=[7.0, 8.0, 9.0])]
    )
    features = featurizer(batch)
    assert features["available"].tolist() == [[True, True], [False, False], [True, False]]
    np.testing.assert_array_equal(features["regions"][0], grid)
    np.testing.assert_array_equal(features["regions"][2], [[7, 8, 9], [0, 0, 0]])
    assert not features["regions"][1].any()
    assert batch.image_status == ["used", "absent", "used"]


@pytest.mark.parametrize(
    "value, reason",
    [
        (np.zeros(4), r"shape \[4\]"),
        (np.zeros((2, 2, 3)), "shape"),
        (np.array([1.0, np.nan, 0.0]), "not within"),
        (np.array([1.0, 1e30, 0.0]), "not within"),
        (np.zeros((0, 3)), "no region"),
        ("not numbers", "not an array"),
        ([10**400, 0, 0], "not an array"),
        (PictureError("of no use"), "of no use"),
    ],
)
def test_a_descriptor_that_does_not_fit_is_masked_with_its_reason(featurizer, value, reason):
    batch = PostBatch.from_docs([post(image_features=value)])
    with pytest.warns(PictureWarning, match=reason):
        features = featurizer(batch)
    assert not features["available"].any()
    assert batch.image_status[0].startswith("unreadable: ")


def test_a_picture_without_an_encoder_is_masked_with_its_reason(featurizer):
    batch = PostBatch.from_docs([post(image="photo.jpg")])
    with pytest.warns(PictureWarning, match="takes image_features"):
        featurizer(batch)


def test_descriptors_of_different_widths_are_refused_in_training():
    with pytest.raises(ValueError, match="3 and 4"):
        settled(post(image_features=np.zeros(3)), post(image_features=np.zeros(4)))


def test_neither_encoder_nor_descriptors_is_an_error_that_names_the_remedies():
    with pytest.raises(ValueError, match="--features"):
        settled(post())


def test_a_descriptor_wins_over_a_picture(featurizer):
    batch = PostBatch.from_docs([post(image="gone.jpg", image_features=np.ones(3))])
    featurizer(batch)
    assert batch.image_status == ["used"]


def test_several_pictures_of_a_post_lie_one_after_the_other(pictures):
    from spacy_mner.images.efficientnet import build_efficientnet_lite
    from spacy_mner.images.store import FeatureStore

    store = FeatureStore(build_efficientnet_lite(), cache=None, memory_mb=16)
    featurizer = PictureFeaturizer(store)
    docs = [post(image=["car.png", "animal.png"]), post(image="car.png")]
    features = featurizer(PostBatch.from_docs(docs, pictures))
    assert features["available"].tolist() == [[True, True], [True, False]]
    np.testing.assert_array_equal(features["regions"][0, 0], features["regions"][1, 0])
    assert np.abs(features["regions"][0, 1] - features["regions"][0, 0]).max() > 0.01


def test_the_regions_of_a_post_are_known_to_be_of_which_picture(pictures):
    from spacy_mner.images.efficientnet import build_efficientnet_lite
    from spacy_mner.images.store import FeatureStore

    encoder = build_efficientnet_lite(regions="grid")
    featurizer = PictureFeaturizer(FeatureStore(encoder, cache=None, memory_mb=16))
    doc = post(image=["gone.png", "car.png", b"no picture", "car.png"])
    assert featurizer.regions_of(doc, pictures) == [0, 49, 0, 49]
    assert featurizer.regions_of(post(image_features=np.ones((3, 1280))), pictures) == [3]
    assert featurizer.regions_of(post(), pictures) == []


def test_descriptors_of_another_width_than_the_encoders_are_refused_in_training():
    from spacy_mner.images.efficientnet import build_efficientnet_lite
    from spacy_mner.images.store import FeatureStore

    store = FeatureStore(build_efficientnet_lite(), cache=None, memory_mb=16)
    with pytest.raises(ValueError, match="1280"):
        PictureFeaturizer(store).observe(post(image_features=np.zeros(3)), None)


def test_training_without_a_single_readable_picture_is_refused_with_the_remedy(pictures):
    from spacy_mner.images.efficientnet import build_efficientnet_lite
    from spacy_mner.images.store import FeatureStore

    store = FeatureStore(build_efficientnet_lite(), cache=None, memory_mb=16)
    featurizer = PictureFeaturizer(store)
    for _ in range(25):
        featurizer.observe(post(image="car.png"), pictures / "elsewhere")
    with pytest.raises(ValueError, match="images_root"):
        featurizer.settle()


def test_a_corpus_with_some_unreadable_pictures_is_trained_on(pictures):
    from spacy_mner.images.efficientnet import build_efficientnet_lite
    from spacy_mner.images.store import FeatureStore

    store = FeatureStore(build_efficientnet_lite(), cache=None, memory_mb=16)
    featurizer = PictureFeaturizer(store)
    for image in ["gone.png"] * 15 + ["car.png"] + ["gone.png"] * 10:
        featurizer.observe(post(image=image), pictures)
    featurizer.settle()


def test_a_second_initialization_begins_anew(pictures):
    from spacy_mner.images.efficientnet import build_efficientnet_lite
    from spacy_mner.images.store import FeatureStore

    featurizer = PictureFeaturizer(
        FeatureStore(build_efficientnet_lite(), cache=None, memory_mb=16)
    )
    for _ in range(20):
        featurizer.observe(post(image="car.png"), pictures / "elsewhere")
    with pytest.raises(ValueError, match="images_root"):
        featurizer.settle()
    for _ in range(20):
        featurizer.observe(post(image="car.png"), pictures)
    featurizer.settle()


def test_a_second_initialization_may_bring_descriptors_of_another_width(featurizer):
    featurizer.observe(post(image_features=np.zeros(5)), None)
    featurizer.settle()
    assert featurizer.dims() == {"dim": 5}
