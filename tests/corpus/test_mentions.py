from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from spacy_mner.corpus.join_words import with_joined_words
from spacy_mner.corpus.mentions import find_mentions, is_only_mention, remove_mentions

from .strategies import tags_of

VOCAB = spacy.blank("en").vocab


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("thanks @Nike, @a_1!", ["@Nike", "@a_1"]),
        ("RT.@Bob 你好＠Bob", ["@Bob", "＠Bob"]),
        ("dinner @ Nobu @", []),
        ("me@x.org, me_@x", []),
    ],
)
def test_a_mention_is_a_sign_and_the_name_after_it(text, found):
    doc = spacy.blank("en")(text)
    assert [text[start:end] for start, end in find_mentions(doc)] == found


@pytest.mark.parametrize(
    ("words", "entity", "expected"),
    [
        ("@ name", (0, 1), True),
        ("@ name", (1, 2), True),
        ("@ name", (0, 2), True),
        ("hi @name", (1, 2), True),
        ("hi @name", (0, 2), False),
        ("@ Madison Square Garden", (1, 4), False),
        ("@ Madison Square Garden", (0, 4), False),
        ("@ Madison Square Garden", (2, 4), False),
        ("@ name @ other", (1, 4), False),
        ("@ , name", (0, 1), False),
        ("@ , name", (2, 3), False),
        ("name @", (1, 2), False),
    ],
)
def test_an_entity_of_words_is_only_a_mention_if_it_lies_within_one(words, entity, expected):
    doc = Doc(VOCAB, words.split())
    doc.set_ents([Span(doc, *entity, label="PER")])
    for post in (doc.copy(), with_joined_words(doc)):
        assert remove_mentions(post) == expected
        is_missing = [token.ent_iob_ == "" for token in post]
        assert is_missing == [expected and i in range(*entity) for i in range(len(doc))]


SIGNS = ["@", "＠"]
WORDS = st.sampled_from([*SIGNS, "Bob", "in", "@user", ".", "!", "#", '"'])


@given(st.lists(WORDS, min_size=1, max_size=8))
def test_mentions_of_words_are_those_of_a_scan_over_the_words(words):
    parts = []
    for i, word in enumerate(words):
        if word == "@user":
            parts.append({i})
        elif word in SIGNS and words[i + 1 : i + 2] in (["Bob"], ["in"]):
            parts.append({i, i + 1})
    doc = Doc(VOCAB, words)
    joined = with_joined_words(doc)
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            expected = any(set(range(start, end)) <= part for part in parts)
            span = doc[start:end]
            assert expected == is_only_mention(span.start_char, span.end_char, find_mentions(doc))
            if "＠" not in words:
                span = joined[start:end]
                mentions = find_mentions(joined)
                assert expected == is_only_mention(span.start_char, span.end_char, mentions)


def test_other_annotation_is_unchanged():
    doc = Doc(VOCAB, ["@", "a", "Oslo", "@b", "x", "."])
    entities = [(0, 1, "PER"), (1, 2, "PER"), (2, 3, "LOC"), (3, 4, "PER")]
    doc.set_ents([Span(doc, *one) for one in entities], missing=[doc[4:5]])
    assert remove_mentions(doc) == 3
    assert tags_of(doc) == ["", "", "B-LOC", "", "", "O"]
    assert remove_mentions(doc) == 0
