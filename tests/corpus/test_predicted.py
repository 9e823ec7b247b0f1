from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mner.corpus.predicted import MisalignedSpan, SpanAlignment, make_predicted

NLP = spacy.blank("en")

# Text → tokens split at a gold span, their spaces, and the token of the pipeline that contains the
# span, or None if the span aligns.
SPLIT = {
    "thanks @Nike": (["thanks", "@", "Nike"], [True, False, False], "@Nike"),
    "in #NewYork": (["in", "#", "NewYork"], [True, False, False], None),
    "by Nike/adidas": (["by", "Nike", "/adidas"], [True, False, False], None),
    "by Nike/4": (["by", "Nike", "/4"], [True, False, False], "Nike/4"),
    "the NYCmarathon": (["the", "NYC", "marathon"], [True, False, False], "NYCmarathon"),
}


def reference_of(text):
    words, spaces, _ = SPLIT[text]
    tags = ["O", *(["B-ORG", "O"] if words[1].isalpha() else ["O", "B-ORG"])]
    return Doc(NLP.vocab, words=words, spaces=spaces, ents=tags)


def texts(doc):
    return [token.text for token in doc]


@pytest.mark.parametrize("text", SPLIT)
def test_predicted_has_the_tokens_of_the_pipeline(text):
    reference = reference_of(text)
    assert texts(make_predicted(reference, NLP)) == texts(NLP(text))
    assert texts(make_predicted(reference, NLP, gold_preproc=True)) == SPLIT[text][0]


def test_predicted_keeps_the_tokens_if_spaces_are_unknown():
    reference = Doc(NLP.vocab, words=["don't", "go"])
    predicted = make_predicted(reference, NLP)
    assert texts(predicted) == ["don't", "go"]
    assert predicted.has_unknown_spaces and predicted.text == reference.text


def test_predicted_has_the_image_and_no_annotation():
    reference = reference_of("thanks @Nike")
    reference._.image, reference._.image_features = "1.jpg", np.ones(3)
    reference._.image_text, reference._.image_objects = "a shoe", ["shoe"]
    for gold_preproc in (True, False):
        predicted = make_predicted(reference, NLP, gold_preproc)
        assert (predicted._.image, predicted._.image_text) == ("1.jpg", "a shoe")
        assert predicted._.image_features.tolist() == [1, 1, 1]
        assert predicted._.image_objects == ["shoe"]
        assert not predicted.has_annotation("ENT_IOB")


def test_misaligned_spans_are_counted_with_examples():
    alignment = SpanAlignment()
    for text in SPLIT:
        reference = reference_of(text)
        alignment.update(Example(make_predicted(reference, NLP), reference))
    expected = [[token] for *_, token in SPLIT.values() if token]
    assert (alignment.spans, alignment.misaligned) == (5, 3)
    assert [one.tokens for one in alignment.examples] == expected
    assert alignment.examples[0] == MisalignedSpan("Nike", ["@Nike"])
    assert "3 of 5 gold spans" in str(alignment) and "'Nike' in '@Nike'" in str(alignment)


def test_spans_always_align_with_gold_tokens():
    alignment = SpanAlignment()
    reference = reference_of("thanks @Nike")
    alignment.update(Example(make_predicted(reference, NLP, gold_preproc=True), reference))
    assert (alignment.spans, alignment.misaligned, alignment.examples) == (1, 0, [])
