"""HuggingFaceDetector with a tiny random model."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spacy_mner.images.detectors.huggingface_detector import HuggingFaceDetector

from ...image_models import LABELS, write_detector
from ..samples import clock, noise

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detector(tmp_path_factory.mktemp("detector"))


def test_objects_are_those_of_the_model_by_descending_score(folder):
    model = transformers.AutoModelForObjectDetection.from_pretrained(folder).eval()
    process = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        outputs = model(**process(Image.fromarray(noise(40, 60)), return_tensors="pt"))
    [expected] = process.post_process_object_detection(outputs, 0.0, target_sizes=[(40, 60)])
    [found] = HuggingFaceDetector(name=str(folder), threshold=0.0).compute([noise(40, 60)])
    order = expected["scores"].argsort(descending=True)
    labels = [model.config.id2label[i] for i in expected["labels"][order].tolist()]
    assert [one.label for one in found] == labels
    assert {"car", "cat", "tree"} >= set(labels)
    np.testing.assert_allclose(
        [one.box for one in found],
        (expected["boxes"][order] / torch.tensor([60, 40, 60, 40])).clamp(0, 1),
        atol=1e-4,
    )
    scores = [one.score for one in found]
    assert scores == pytest.approx(expected["scores"][order].tolist(), abs=1e-5)
    middle = float(np.median(scores))
    [fewer] = HuggingFaceDetector(name=str(folder), threshold=middle).compute([noise(40, 60)])
    assert [one.score for one in fewer] == [score for score in scores if score > middle]


@pytest.mark.parametrize(
    ("dominant", "label"), [(0, "car"), (1, "class 1"), (2, "cat")], ids=["before", "in", "after"]
)
def test_labels_are_those_of_the_ids_of_classes_where_ids_have_a_gap(tmp_path, dominant, label):
    labels = {0: "car", 2: "cat", 3: "tree"}
    folder = write_detector(tmp_path, labels=labels, dominant=dominant)
    [found] = HuggingFaceDetector(name=str(folder)).compute([clock()])
    assert {one.label for one in found} == {label}


def test_the_fingerprint_depends_on_labels_and_threshold(folder, tmp_path):
    renamed = write_detector(tmp_path, labels={**LABELS, 2: "bush"})
    detectors = [
        HuggingFaceDetector(name=str(folder)),
        HuggingFaceDetector(name=str(folder), threshold=0.1),
        HuggingFaceDetector(name=str(renamed)),
    ]
    assert len({one.fingerprint for one in detectors}) == 3


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_images_of_extreme_sizes_have_valid_boxes(folder, size):
    detector = HuggingFaceDetector(name=str(folder), threshold=0.0)
    [found] = detector.compute([np.full((*size, 3), 90, np.uint8)])
    assert detector.from_bytes(detector.to_bytes(found)) == found


def test_saved_files_and_a_pickle_replace_the_model(tmp_path):
    detector = HuggingFaceDetector(name=str(write_detector(tmp_path / "a")), threshold=0.0)
    expected = detector.compute([clock()])
    detector.save_files(tmp_path / "saved")
    (tmp_path / "a").rename(tmp_path / "b")
    restored = HuggingFaceDetector(name=str(tmp_path / "a"), threshold=0.0)
    restored.load_files(tmp_path / "saved")
    for copy in (restored, pickle.loads(pickle.dumps(restored))):
        assert copy.compute([clock()]) == expected
        assert copy.fingerprint == detector.fingerprint


def test_invalid_arguments_are_errors(folder, tmp_path):
    with pytest.raises(ValueError):
        HuggingFaceDetector(name=str(folder), threshold=1.5)
    with pytest.raises(ValueError, match="Cannot load the object detector"):
        HuggingFaceDetector(name=str(tmp_path)).compute([clock()])
