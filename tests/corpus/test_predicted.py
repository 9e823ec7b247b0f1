from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mner.corpus.predicted import MisalignedSpan, SpanAlignment, make_joined, make_predicted

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
    assert (alignment.spans, alignment.misaligned, alignment.inside_words) == (5, 3, 1)
    assert [one.tokens for one in alignment.examples] == expected
    assert alignment.examples[0] == MisalignedSpan("Nike", ["@Nike"])
    assert "3 of 5 gold spans" in str(alignment) and "'Nike' in '@Nike'" in str(alignment)


def test_a_span_inside_a_word_is_counted_if_its_tokens_align():
    alignment = SpanAlignment()
    reference = Doc(NLP.vocab, ["Norvi", "a"], [False, False], ents=["B-LOC", "O"])
    alignment.update(Example(make_predicted(reference, NLP, gold_preproc=True), reference))
    assert (alignment.misaligned, alignment.inside_words) == (0, 1)
    assert str(alignment).startswith("1 of 1 gold spans begin or end inside a word ('Norvi' in")
    unknown = Doc(NLP.vocab, ["a", "b"], ents=["B-LOC", "O"])
    alignment.update(Example(make_predicted(unknown, NLP), unknown))
    assert (alignment.spans, alignment.inside_words) == (2, 1)


def test_spans_always_align_with_gold_tokens():
    alignment = SpanAlignment()
    reference = reference_of("thanks @Nike")
    alignment.update(Example(make_predicted(reference, NLP, gold_preproc=True), reference))
    assert (alignment.spans, alignment.misaligned, alignment.examples) == (1, 0, [])


def alignment_of(words, tags, lang="en"):
    """Of a post without text, given its words and tags."""
    nlp = spacy.blank(lang)
    reference = Doc(nlp.vocab, words=words.split(), ents=tags.split())
    alignment = SpanAlignment()
    alignment.update(Example(make_joined(reference, nlp), reference))
    return alignment


@pytest.mark.parametrize(
    ("words", "tags", "lang", "misaligned", "changed"),
    [
        ("I saw Bob 's car .", "O O B-PER O O O", "en", 0, 0),
        ("thanks @ Nike !", "O O B-ORG O", "en", 1, 2),
        ("we are in #Paris now", "O O O B-LOC O", "en", 0, 1),
        ("老 王 说 北 京", "B-PER I-PER O B-LOC I-LOC", "en", 2, 5),
        ("老 王 说 北 京", "B-PER I-PER O B-LOC I-LOC", "zh", 0, 0),
        ("老王 说 北京", "B-PER O B-LOC", "zh", 0, 2),
    ],
)
def test_tokens_without_text_are_compared_with_those_of_the_joined_words(
    words, tags, lang, misaligned, changed
):
    alignment = alignment_of(words, tags, lang)
    assert (alignment.misaligned, alignment.changed) == (misaligned, changed)
    assert alignment.joined == alignment.spans and alignment.tokens == len(words.split())
    assert len(alignment.changed_examples) == changed
    assert bool(alignment.warning) == (changed > 1)


def test_the_warning_of_other_tokens_names_examples_the_language_and_the_remedy():
    warning = alignment_of("老 王 好", "B-PER I-PER O").warning
    for part in ("'老 王' in '老王好'", "'en'", "init --lang", "no text"):
        assert part in warning


@pytest.mark.parametrize(("n_other", "is_warned"), [(19, False), (10, True)])
def test_few_misaligned_spans_are_expected_where_words_are_joined(n_other, is_warned):
    words = ["thanks @ Nike"] + ["Bob is in my house now with all of us"] * n_other
    tags = ["O O B-ORG"] + ["B-PER O O O O O O O O O"] * n_other
    assert bool(alignment_of(" ".join(words), " ".join(tags)).warning) == is_warned
