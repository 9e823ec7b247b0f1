"""The component `image_objects`. What it shares with `image_text` is tested there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language

from spacy_mner.errors import ImageWarning, UsageError
from spacy_mner.images.image_objects import read_objects
from spacy_mner.models.architectures import build_object_embedding_v1

from ..image_models import write_detector
from ..images.samples import clock


def test_the_objects_in_the_images_are_set_where_a_post_has_none():
    nlp = spacy.blank("en")
    nlp.add_pipe("image_objects", config={"detector": {"threshold": 0.2}})
    given, found, several, broken, without = docs = [nlp.make_doc("a post") for _ in range(5)]
    given._.image_objects, given._.image = ["cat"], clock()
    found._.image, several._.image, broken._.image = clock(), [clock(), clock()], b"torn"
    with pytest.warns(ImageWarning):
        list(nlp.pipe(docs))
    assert given._.image_objects == ["cat"]
    assert {one.label for one in read_objects(found._.image_objects)} & {
        "wall clock",
        "analog clock",
    }
    assert several._.image_objects == 2 * found._.image_objects
    assert broken._.image_objects is without._.image_objects is None


def test_an_image_without_objects_has_an_empty_list():
    nlp = spacy.blank("en")
    nlp.add_pipe("image_objects", config={"detector": {"threshold": 1.0}})
    doc = nlp.make_doc("a post")
    doc._.image = np.zeros((8, 8, 3), np.uint8)
    assert nlp(doc)._.image_objects == []


def detecting(folder: Path, **settings: Any) -> Language:
    """A pipeline with a detector of Hugging Face that is written into `folder`."""
    pytest.importorskip("transformers")
    nlp = spacy.blank("en")
    detector = {
        "@object_detectors": "spacy_mner.HuggingFaceDetector.v1",
        "name": str(write_detector(folder, **settings)),
        "threshold": 0.0,
    }
    nlp.add_pipe("image_objects", config={"detector": detector})
    return nlp


def objects(nlp: Language) -> Any:
    doc = nlp.make_doc("a post")
    doc._.image = clock()
    return nlp(doc)._.image_objects


def test_a_saved_pipeline_holds_the_weights_of_its_detector(tmp_path):
    nlp = detecting(tmp_path / "detector")
    expected = objects(nlp)
    nlp.to_disk(tmp_path / "model")
    (tmp_path / "detector").rename(tmp_path / "gone")
    assert objects(spacy.load(tmp_path / "model")) == expected != []


def test_after_another_detector_is_loaded_its_objects_are_found_in_an_image_seen_before(tmp_path):
    cars = detecting(tmp_path / "cars", dominant=0)
    trees = detecting(tmp_path / "trees", dominant=2)
    before, expected = objects(cars), objects(trees)
    cars.get_pipe("image_objects").from_bytes(trees.get_pipe("image_objects").to_bytes())
    assert objects(cars) == expected != before


def test_detecting_by_the_embedding_is_an_error_that_names_the_component():
    with pytest.raises(UsageError, match="image_objects"):
        build_object_embedding_v1(detector="any")
