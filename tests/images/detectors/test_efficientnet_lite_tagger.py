"""ImageNet tags of whole images of the sample corpus."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from spacy.util import registry

from spacy_mner.images.detectors.efficientnet_lite_tagger import EfficientNetLiteTagger
from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite
from spacy_mner.images.reference import open_image
from spacy_mner.utils import onnx_session

ASSETS = Path(__file__).parents[3] / "assets" / "images"
IMAGES = [open_image(path, None).pixels() for path in sorted(ASSETS.glob("*.*"))[:5]]


@pytest.fixture(scope="module")
def tagger() -> EfficientNetLiteTagger:
    return registry.object_detectors.get("spacy_mner.EfficientNetLiteTagger.v1")(threshold=0.1)


def probable_classes(image: np.ndarray, threshold: float) -> list[tuple[str, float]]:
    """Labels and probabilities of an image by the network of the encoder, in torch."""
    from torchvision.models import ResNet18_Weights

    encoder = EfficientNetLite(runtime="torch")
    network, _ = encoder.network_on(None)
    with torch.no_grad():
        logits = network(encoder.preprocessing(image)[None])[0].double().numpy()
    exponentials = np.exp(logits - logits.max())
    labels = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    pairs = zip(labels, exponentials / exponentials.sum(), strict=True)
    probable = [(label, p) for label, p in pairs if p >= threshold]
    return sorted(probable, key=lambda pair: -pair[1])


@pytest.mark.parametrize("is_installed", [True, False], ids=["onnxruntime", "torch"])
def test_tags_are_the_most_probable_classes_of_the_encoder(tagger, is_installed, monkeypatch):
    if is_installed:
        pytest.importorskip("onnxruntime")
    else:
        monkeypatch.setattr(onnx_session, "find_spec", lambda name: None)
    for image, found in zip(IMAGES, tagger.compute(IMAGES), strict=True):
        expected = probable_classes(image, 0.1)
        assert [one.label for one in found] == [label for label, _ in expected]
        scores = [score for _, score in expected]
        assert [one.score for one in found] == pytest.approx(scores, abs=1e-5)
        assert all(one.box == (0, 0, 1, 1) for one in found)


def test_onnx_runtime_computes_in_prediction_and_torch_in_training(monkeypatch):
    pytest.importorskip("onnxruntime")
    tagger, sessions = EfficientNetLiteTagger(), []
    make_session = onnx_session.make_session

    def make_and_count(*args, **kwargs):
        sessions.append(make_session(*args, **kwargs))
        return sessions[-1]

    monkeypatch.setattr(onnx_session, "make_session", make_and_count)
    trained = tagger.compute(IMAGES[:1], is_train=True)
    assert not sessions
    predicted = tagger.compute(IMAGES[:1])
    assert len(sessions) == 1
    assert [one.label for one in predicted[0]] == [one.label for one in trained[0]]


def test_the_tags_of_an_image_do_not_depend_on_the_batch(tagger):
    assert tagger.compute(IMAGES) == [tagger.compute([image])[0] for image in IMAGES]
    assert tagger.compute([]) == []


def test_a_pickle_computes_the_same_and_holds_no_weights(tagger):
    pickled = pickle.dumps(tagger)
    assert len(pickled) < 20_000
    copy = pickle.loads(pickled)
    assert copy.fingerprint == tagger.fingerprint
    assert copy.compute(IMAGES[:1]) == tagger.compute(IMAGES[:1])


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_images_of_extreme_sizes_have_tags(size):
    tagger = EfficientNetLiteTagger(threshold=0.0)
    [found] = tagger.compute([np.full((*size, 3), 90, np.uint8)])
    assert len(found) == 100
    assert tagger.from_bytes(tagger.to_bytes(found)) == found


def test_the_fingerprint_depends_on_preprocessing_and_threshold(tagger, monkeypatch):
    before = tagger.fingerprint
    assert EfficientNetLiteTagger(threshold=0.2).fingerprint != before
    monkeypatch.setattr(EfficientNetLite, "preprocessing", None)
    assert tagger.fingerprint != before


def test_a_threshold_of_one_returns_no_tags():
    assert EfficientNetLiteTagger(threshold=1.0).compute(IMAGES[:1]) == [[]]


def test_a_threshold_outside_zero_and_one_is_rejected():
    with pytest.raises(ValueError):
        EfficientNetLiteTagger(threshold=1.5)
