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
def text_and_offsets(draw):
    text = draw(st.text(min_size=1, max_size=30))
    edges = draw(st.lists(st.integers(0, len(text)), max_size=8))
    return text, list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))


@given(text_and_offsets())
def test_words_and_spaces_join_to_the_text(drawn):
    text, offsets = drawn
    words, spaces = words_and_spaces(text, [(s, e) for s, e in offsets if s < e])
    joined = "".join(word + " " * space for word, space in zip(words, spaces, strict=True))
    assert joined == text
    assert [text[s:e] for s, e in token_offsets(words, spaces)] == words


@given(text_and_offsets())
def test_spans_align_with_tokens_split_at_them(drawn):
    text, offsets = drawn
    spans = [CharSpan(s, e, "X") for s, e in offsets if text[s:e].strip()]
    spans = [trim(text, span) for span in spans]
    words, spaces = words_and_spaces(text, split_at([(0, len(text))], spans))
    reported: list = []
    entities, unknown = align(spans, token_offsets(words, spaces), lambda *a: reported.append(a))
    assert reported == [] and unknown == []
    offsets = token_offsets(words, spaces)
    assert [(offsets[s][0], offsets[e - 1][1]) for s, e, _ in entities] == [
        (span.start, span.end) for span in spans
    ]


def test_a_span_inside_a_token_is_missing_annotation():
    reported: list = []
    span = CharSpan(1, 2, "X")
    assert align([span], [(0, 3), (4, 5)], lambda *a: reported.append(a)) == ([], [0])
    assert reported[0][0] == span


offsets = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4)).map(lambda a: CharSpan(a[0], sum(a), "A"))
)


@given(offsets)
def test_kept_spans_equal_those_of_pairwise_comparison(spans):
    expected: list[CharSpan] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        places = set(range(span.start, span.end))
        if not any(places & set(range(other.start, other.end)) for other in expected):
            expected.append(span)
    reported: list = []
    kept = without_overlaps(spans, lambda *a: reported.append(a))
    assert kept == sorted(expected, key=lambda span: span.start)
    assert len(kept) + len(reported) == len(spans)


@given(offsets, st.integers(0, 9), st.integers(1, 4))
def test_overlapping_tokens_share_a_character_with_the_span(spans, start, length):
    tokens = [(one.start, one.end) for one in without_overlaps(spans, lambda *a: None)]
    places = set(range(start, start + length))
    assert list(overlapping_tokens(tokens, CharSpan(start, start + length, ""))) == [
        i for i, token in enumerate(tokens) if places & set(range(*token))
    ]
