"""A pipeline that an earlier release saved is loaded, and predicts what it predicted then."""

from __future__ import annotations

import pytest
import spacy
import srsly

from spacy_mner.pipeline.saving import FORMAT, MIGRATIONS

from .make_format import FORMATS, answers
from .pipelines import NAME

PIPELINES = sorted(FORMATS.glob("format*/*"))


@pytest.mark.parametrize("folder", PIPELINES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_pipeline_of_every_released_format_predicts_as_before(folder, images):
    if folder.name != "attention":
        pytest.importorskip("transformers")
    nlp = spacy.load(folder / "model")
    nlp.get_pipe(NAME).images_root = images
    found, expected = answers(nlp), srsly.read_json(folder / "answers.json")
    assert any(post["entities"] for post in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["image_status"] == theirs["image_status"]
        assert [entity[:3] for entity in ours["entities"]] == [e[:3] for e in theirs["entities"]]
        scores = [entity[3] for entity in theirs["entities"]]
        assert [entity[3] for entity in ours["entities"]] == pytest.approx(scores, abs=2e-3)


def test_every_format_that_is_loaded_has_its_fixture():
    formats = {folder.parent.name for folder in PIPELINES}
    assert formats == {f"format{version}" for version in {*MIGRATIONS, FORMAT}}
