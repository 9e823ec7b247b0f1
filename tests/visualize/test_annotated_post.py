from __future__ import annotations

import spacy

from spacy_mner.visualize.annotated_post import featurizers_of


def test_regions_are_named_by_the_last_component_which_sets_the_attention_of_a_post():
    nlp = spacy.blank("en")
    assert not featurizers_of(nlp).by_name
    for name in ("first", "second"):
        last = nlp.add_pipe("multimodal_ner", name=name)
    assert featurizers_of(nlp) is last.model.attrs["featurizers"]
