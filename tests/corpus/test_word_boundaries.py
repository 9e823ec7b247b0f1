from __future__ import annotations

import pytest

from spacy_mner.corpus.spans import CharSpan
from spacy_mner.corpus.word_boundaries import OffsetCheck, is_inside_word, word_around


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Norvi", "a", True),
        ("B", "2", True),
        ("e", "\u0301", True),
        ("П", "а", True),
        ("#", "NBA", False),
        ("Nike", "'s", False),
        ("Mira", " Tolvan", False),
        ("", "Mira", False),
        ("Mira", "", False),
        ("🎸", "a", False),
        # Scripts without spaces between words, or with endings of words.
        ("东", "京", False),
        ("서울", "에", False),
        ("กรุง", "เทพ", False),
        ("京", "A", False),
    ],
)
def test_a_boundary_is_inside_a_word_between_its_letters_and_digits(left, right, expected):
    assert is_inside_word(left + right, len(left)) is expected


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(17, 22, "Norvia"), (18, 19, "Norvia"), (14, 23, "of Norvia")]
)
def test_the_words_around_a_span_are_found(start, end, expected):
    text = "Greetings out of Norvia"
    first, last = word_around(text, start, end)
    assert text[first:last] == expected


TEXT = "Mira Tolvan left Oslo 👍🏿 for Rio"
WORDS = ["Mira Tolvan", "Oslo", "Rio"]


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ((0, 0), ""),
        ((0, -1), "add 1 to end"),
        ((-1, -1), "add 1 to start and end"),
        ((1, 1), "subtract 1 from start and end"),
        ((1, 0), "subtract 1 from start"),
        ((2, -3), ""),
    ],
)
def test_the_mistake_of_most_offsets_is_found(shift, expected):
    check = OffsetCheck()
    starts = [TEXT.index(word) for word in WORDS]
    offsets = [(start, start + len(word)) for start, word in zip(starts, WORDS, strict=True)]
    moved = [CharSpan(start + shift[0], end + shift[1], "X") for start, end in offsets]
    check.update(TEXT, [span for span in moved if span.start >= 0])
    assert check.hint.endswith(expected) and bool(check.hint) is bool(expected)


def test_utf_16_offsets_without_the_texts_of_spans_are_recognized():
    check = OffsetCheck()
    check.update(TEXT, [CharSpan(0, 11, "X"), CharSpan(17, 21, "X"), CharSpan(31, 34, "X")])
    assert "UTF-16" in check.hint


def test_a_few_spans_inside_words_are_no_mistake_of_the_file():
    check = OffsetCheck()
    for _ in range(9):
        check.update("in Oslo", [CharSpan(3, 7, "X")])
    check.update("in Oslo", [CharSpan(3, 6, "X")])
    assert check.hint == ""
