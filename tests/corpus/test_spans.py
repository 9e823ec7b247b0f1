from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.spans import (
    CharSpan,
    align,
    overlapping_tokens,
    split_at,
    token_offsets,
    trim,
    without_overlaps,
    words_and_spaces,
)


@st.composite
def text_and_stretches(draw):
    text = draw(st.text(min_size=1, max_size=30))
    edges = draw(st.lists(st.integers(0, len(text)), max_size=8))
    return text, list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))


@given(text_and_stretches())
def test_words_and_spaces_spell_the_text(given_text):
    text, stretches = given_text
    words, spaces = words_and_spaces(text, [(s, e) for s, e in stretches if s < e])
    spelled = "".join(word + " " * space for word, space in zip(words, spaces, strict=True))
    assert spelled == text
    assert [text[s:e] for s, e in token_offsets(words, spaces)] == words


@given(text_and_stretches())
def test_a_span_falls_on_tokens_once_they_are_split_at_it(given_text):
    text, stretches = given_text
    spans = [CharSpan(s, e, "X") for s, e in stretches if text[s:e].strip()]
    spans = [trim(text, span) for span in spans]
    words, spaces = words_and_spaces(text, split_at([(0, len(text))], spans))
    refused: list = []
    entities, unknown = align(spans, token_offsets(words, spaces), lambda *a: refused.append(a))
    assert refused == [] and unknown == []
    offsets = token_offsets(words, spaces)
    assert [(offsets[s][0], offsets[e - 1][1]) for s, e, _ in entities] == [
        (span.start, span.end) for span in spans
    ]


def test_a_span_inside_a_gold_token_leaves_that_token_unannotated():
    refused: list = []
    span = CharSpan(1, 2, "X")
    assert align([span], [(0, 3), (4, 5)], lambda *a: refused.append(a)) == ([], [0])
    assert refused[0][0] == span


def test_the_longest_of_overlapping_spans_is_kept():
    refused: list = []
    short, long = CharSpan(0, 2, "A"), CharSpan(1, 5, "B")
    assert without_overlaps([short, long], lambda *a: refused.append(a)) == [long]
    assert refused[0][0] == short


stretches = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4)).map(lambda a: CharSpan(a[0], sum(a), "A"))
)


@given(stretches)
def test_spans_are_kept_as_if_each_were_compared_with_all_others(spans):
    expected: list[CharSpan] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        places = set(range(span.start, span.end))
        if not any(places & set(range(other.start, other.end)) for other in expected):
            expected.append(span)
    refused: list = []
    kept = without_overlaps(spans, lambda *a: refused.append(a))
    assert kept == sorted(expected, key=lambda span: span.start)
    assert len(kept) + len(refused) == len(spans)


@given(stretches, st.integers(0, 9), st.integers(1, 4))
def test_a_span_touches_the_tokens_that_share_a_character_with_it(spans, start, length):
    tokens = [(one.start, one.end) for one in without_overlaps(spans, lambda *a: None)]
    places = set(range(start, start + length))
    assert list(overlapping_tokens(tokens, CharSpan(start, start + length, ""))) == [
        i for i, token in enumerate(tokens) if places & set(range(*token))
    ]


def test_neighbors_do_not_overlap():
    spans = [CharSpan(0, 2, "A"), CharSpan(2, 5, "B")]
    assert without_overlaps(spans, lambda *a: None) == spans
