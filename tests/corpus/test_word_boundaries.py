from __future__ import annotations

from contextlib import nullcontext

import pytest

from spacy_mner.corpus.word_boundaries import OffsetCheck, is_inside_word, word_around
from spacy_mner.errors import CorpusError

from .foreign_writers import in_bytes, units


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


def checked(text, words, length=len, shift=(0, 0)):
    """Return the check of the spans of words. length: of a text, in the unit of the offsets."""
    check = OffsetCheck()
    ends = [(text.index(word), text.index(word) + len(word)) for word in words]
    spans = [(length(text[:start]), length(text[:end])) for start, end in ends]
    check.update(text, [(s + shift[0], e + shift[1]) for s, e in spans if s + shift[0] >= 0])
    return check


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
    check = checked(TEXT, WORDS, shift=shift)
    assert check.hint.endswith(f"({expected})" if expected else "") and bool(check.hint) is bool(
        expected
    )
    assert ("UTF-16" in check.hint, "bytes" in check.hint) == (False, False)


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        (f"🎸🎸 {TEXT}", units, "UTF-16"),
        # One emoji before all spans: counted from 1, or UTF-16.
        (f"🎸 {TEXT}", units, "UTF-16"),
        (f"für für {TEXT}", in_bytes, "bytes"),
        (f"a\nb\n{TEXT}", lambda text: len(text.replace("\n", "\r\n")), "two characters"),
        (f"a\r\nb\r\n{TEXT}", lambda text: len(text.replace("\r\n", "\n")), "one character"),
    ],
)
def test_a_file_of_offsets_in_another_unit_is_refused(text, length, expected):
    checked(text, WORDS).check()
    with pytest.raises(CorpusError, match=expected):
        checked(text, WORDS, length).check()


def test_shifted_offsets_are_refused_in_files_of_several_spans():
    for words, is_refused in ((WORDS[:2], False), (WORDS, True)):
        check = checked(TEXT, words, shift=(0, -1))
        with pytest.raises(CorpusError, match="add 1 to end") if is_refused else nullcontext():
            check.check()
        assert check.hint


def test_a_few_spans_inside_words_are_no_mistake_of_the_file():
    check = OffsetCheck()
    for _ in range(9):
        check.update("in Oslo", [(3, 7)])
    for _ in range(3):
        check.update("in Oslo", [(3, 6)])
    assert check.hint == ""
    check.check()
