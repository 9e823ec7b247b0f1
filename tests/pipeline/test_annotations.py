from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.features.image_status import ImageStatus
from spacy_mner.models.predictions import PostPrediction
from spacy_mner.pipeline.annotations import write_prediction

NLP = spacy.blank("xx")
ABSENT = ImageStatus.parse("absent")


def entities(doc: Doc) -> list[tuple[str, str, float | None]]:
    return [(entity.text, entity.label_, entity._.score) for entity in doc.ents]


def test_a_prediction_replaces_the_entities_and_attributes_of_the_doc():
    doc = Doc(NLP.vocab, words=["a", "b"], ents=["B-LOC", "O"])
    doc._.image_attention = doc._.modality_attention = {"image": np.ones(2)}
    write_prediction(doc, PostPrediction([(1, 2, "PER", 0.75)], ABSENT), overwrite=True)
    assert entities(doc) == [("b", "PER", 0.75)]
    assert doc._.image_status == "absent"
    assert (doc._.modality_attention, doc._.image_attention) == (None, None)
    assert doc.has_annotation("ENT_IOB")


def test_existing_entities_are_kept_without_a_score():
    doc = Doc(NLP.vocab, words=["a", "b", "c"], ents=["B-LOC", "O", "O"])
    prediction = PostPrediction([(0, 1, "LOC", 0.5), (1, 3, "PER", 0.75)], ABSENT)
    write_prediction(doc, prediction, overwrite=False)
    assert entities(doc) == [("a", "LOC", None), ("b c", "PER", 0.75)]


@pytest.mark.parametrize("overwrite", [True, False])
def test_white_space_alone_is_no_entity_whatever_the_network_predicts(overwrite):
    doc = Doc(NLP.vocab, words=["a", " \n", "\u2003", "b"])
    spans = [(0, 1, "PER", 0.5), (1, 3, "LOC", 0.75), (3, 4, "LOC", 0.25)]
    write_prediction(doc, PostPrediction(spans, ABSENT), overwrite=overwrite)
    assert entities(doc) == [("a", "PER", 0.5), ("b", "LOC", 0.25)]
    assert [token.ent_iob_ for token in doc] == ["B", "O", "O", "B"]
