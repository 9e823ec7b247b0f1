from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spacy_mner.corpus.offsets import ExportedSpan, character_offsets, exported_text


def units(text):
    """Length as JavaScript counts it."""
    return len(text.encode("utf-16-le")) // 2


def found(text, *spans):
    """What the spans are taken for, and the doubts about it."""
    doubts: list[str] = []
    offsets = character_offsets(text, [ExportedSpan(*span) for span in spans], doubts.append)
    return [text[start:end] for start, end in offsets], doubts


def test_a_release_that_counts_utf_16_is_recognized_by_the_text_of_a_span():
    # The file of HumanSignal/label-studio, issue 1347.
    assert found("💩This is an annotation.", (13, 23, "annotation")) == (["annotation"], [])


def test_a_release_that_counts_characters_is_recognized_too():
    assert found("💩This is an annotation.", (12, 22, "annotation")) == (["annotation"], [])


def test_a_line_break_in_a_span_is_recognized_as_label_studio_writes_it():
    # A result of Label Studio's own tests of emoji.
    text = "🐱 Warning:\n🐱 This is a test text"
    span = (2, 27, "Warning:\\n🐱 This is a test")
    assert found(text, span) == (["Warning:\n🐱 This is a test"], [])


def test_a_carriage_return_counts_as_a_character_of_its_own():
    assert found("a\r\nb", (0, 4, "a\\n\\nb")) == (["a\r\nb"], [])


def test_blanks_that_a_browser_shows_as_one_do_no_harm():
    assert found("New   York", (0, 10, "New York")) == (["New   York"], [])


def test_a_span_without_its_text_is_counted_like_its_neighbor():
    spans = [(13, 23, "annotation"), (2, 6, None)]
    assert found("💩This is an annotation.", *spans) == (["annotation", "This"], [])


def test_a_span_that_fits_in_one_way_only_needs_no_text():
    assert found("💩 Rio", (3, 6, None)) == (["Rio"], [])


def test_spans_that_fit_in_two_ways_are_taken_for_characters_with_a_doubt():
    words, [doubt] = found("💩 Rio!", (2, 5, None))
    assert words == ["Rio"]
    assert "read as characters" in doubt


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ((0, 3, "Rom"), "has the text 'Rom', but covers 'Rio'"),
        ((0, 99, None), "0–99 is outside the text of 7 characters"),
        ((3, 3, None), "outside the text"),
        ((-1, 3, None), "outside the text"),
    ],
)
def test_a_span_that_fits_in_no_way_is_refused(span, reason):
    with pytest.raises(ValueError, match=reason):
        found("Rio 💩 a", span)


@st.composite
def text_and_stretches(draw):
    text = draw(st.text(st.sampled_from("ab 🎸\u0301\r\n\\n猫"), min_size=1, max_size=20))
    edges = draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=6))
    return text, [(s, e) for s, e in zip(edges[::2], edges[1::2], strict=False) if s < e]


@given(text_and_stretches())
def test_spans_in_characters_come_back(given_text):
    text, stretches = given_text
    spans = [ExportedSpan(s, e, exported_text(text[s:e])) for s, e in stretches]
    assert character_offsets(text, spans, lambda _: None) == stretches


@given(text_and_stretches())
def test_spans_in_utf_16_come_back_or_are_doubted(given_text):
    text, stretches = given_text
    spans = [ExportedSpan(units(text[:s]), units(text[:e]), text[s:e]) for s, e in stretches]
    assume(spans)
    doubts: list[str] = []
    offsets = character_offsets(text, spans, doubts.append)
    assert offsets == stretches or doubts
