from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spacy_mner.corpus.offsets import character_offsets, exported_text

from .foreign_writers import in_bytes, units


def found(text, *spans):
    """Return the text at the spans, and the reported problems."""
    problems: list[str] = []
    offsets = character_offsets(text, spans, problems.append)
    return [text[start:end] for start, end in offsets], problems


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        # HumanSignal/label-studio, issue 1347: in UTF-16 code units, and in characters.
        ("💩This is an annotation.", [(13, 23, "annotation")], ["annotation"]),
        ("💩This is an annotation.", [(12, 22, "annotation")], ["annotation"]),
        # From the tests of Label Studio: a line break is exported as two characters.
        (
            "🐱 Warning:\n🐱 This is a test text",
            [(2, 27, "Warning:\\n🐱 This is a test")],
            ["Warning:\n🐱 This is a test"],
        ),
        ("a\r\nb", [(0, 4, "a\\n\\nb")], ["a\r\nb"]),
        # A browser collapses white space.
        ("New   York", [(0, 10, "New York")], ["New   York"]),
        # A span without text: its unit is that of the others, or the only possible one.
        (
            "💩This is an annotation.",
            [(13, 23, "annotation"), (2, 6, None)],
            ["annotation", "This"],
        ),
        ("💩 Rio", [(3, 6, None)], ["Rio"]),
        # UTF-8 bytes.
        ("für Köln", [(5, 10, "Köln")], ["Köln"]),
        ("💩 Rio", [(5, 8, "Rio")], ["Rio"]),
        # As word pieces of an uncased model.
        ("in Coca-Cola", [(3, 12, "coca - cola")], ["Coca-Cola"]),
    ],
)
def test_the_unit_of_offsets_is_detected(text, spans, expected):
    assert found(text, *spans) == (expected, [])


def test_ambiguous_offsets_are_read_as_characters_and_reported():
    words, [problem] = found("💩 ooo", (3, 5, "oo"))
    assert words == ["oo"]
    assert "read as characters" in problem


def test_a_span_with_another_text_than_it_covers_is_missing_annotation():
    problems: list[str] = []
    spans = [(0, 4, "Mira"), (5, 9, "Zed"), (10, 14, "Oslo")]
    offsets = character_offsets("Mira left Oslo", spans, problems.append)
    assert offsets == [(0, 4), None, (10, 14)]
    [problem] = problems
    assert "has the text 'Zed', but covers 'left'; the post is kept" in problem


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ((0, 3, "Rom"), "has the text 'Rom', but covers 'Rio'"),
        ((0, 99, None), "0–99 is outside the text of 7 characters"),
        ((3, 3, None), "3–3 is empty"),
        ((-1, 3, None), "outside the text"),
        ((9, 10, None), "but not of its bytes"),
        ((1, 3, "é"), "has the text"),
    ],
)
def test_a_mismatched_span_raises(span, reason):
    with pytest.raises(ValueError, match=reason):
        found("Rio 💩 a", span)


@st.composite
def text_and_offsets(draw):
    text = draw(st.text(st.sampled_from("ab 🎸\u0301\r\n\\n猫"), min_size=1, max_size=20))
    edges = draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=6))
    return text, [(s, e) for s, e in zip(edges[::2], edges[1::2], strict=False) if s < e]


@given(text_and_offsets())
def test_character_offsets_are_restored(drawn):
    text, given_offsets = drawn
    spans = [(s, e, exported_text(text[s:e])) for s, e in given_offsets]
    assert character_offsets(text, spans, lambda _: None) == given_offsets


@pytest.mark.parametrize("length", [units, in_bytes])
@given(drawn=text_and_offsets())
def test_offsets_in_other_units_are_restored_or_ambiguous(length, drawn):
    text, given_offsets = drawn
    spans = [(length(text[:s]), length(text[:e]), text[s:e]) for s, e in given_offsets]
    assume(spans)
    problems: list[str] = []
    offsets = character_offsets(text, spans, problems.append)
    assert offsets == given_offsets or problems
