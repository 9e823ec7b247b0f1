from __future__ import annotations

import time

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.pipeline.post_tokenizer import PostTokenizer, split_hashtag, split_post

TOKENIZER = PostTokenizer(spacy.blank("xx").vocab)
PIECES = [
    "@user",
    "#NewYork",
    "#",
    "@",
    "👍🏿",
    "👩‍👩‍👧",
    "🇩🇪",
    "n't",
    "'s",
    "w/",
    "...",
    "http://",
    ".",
    "é",
    "北",
]


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("RT @user: hi", "RT|@user|:|hi"),
        ("@user's dog", "@user|'s|dog"),
        ("mail a@b.com", "mail|a@b.com"),
        ("see #NewYorkCity!", "see|#|New|York|City|!"),
        ("# x", "#|x"),
        ("👍🏿😍😍", "👍🏿|😍|😍"),
        ("👩‍👩‍👧🇩🇪🇫🇷1️⃣❤️", "👩‍👩‍👧|🇩🇪|🇫🇷|1️⃣|❤️"),
        ("https://t.co/a?b=1. Next", "https://t.co/a?b=1|.|Next"),
        ("(twitpic.com/6s0h5f)", "(|twitpic.com/6s0h5f|)"),
        ("coffee w/ Ann", "coffee|w/|Ann"),
        ("wow!!!?? ...", "wow|!!!|??|..."),
        ("don't it’s I'm y'all", "do|n't|it|’s|I|'m|y'all"),
        ("O'Neill AC/DC Coca-Cola", "O'Neill|AC|/|DC|Coca-Cola"),
        ("$5.50 at 10:30pm U.S.A.", "$|5.50|at|10:30pm|U.S.A."),
        ("yes.No :) <3 &amp;", "yes|.|No|:)|<3|&amp;"),
        ("老王 is", "老|王|is"),
        (" a  b\n", " |a| |b|\n"),
        ("", ""),
    ],
)
def test_a_post_is_split_into_tokens(text, tokens):
    doc = TOKENIZER(text)
    assert "|".join(token.text for token in doc) == tokens
    assert doc.text == text


@pytest.mark.parametrize(
    "hashtag, words",
    [
        ("NewYork", "New|York"),
        ("USAToday", "USA|Today"),
        ("iHeartAwards", "i|Heart|Awards"),
        ("KCA2014", "KCA|2014"),
        ("ÉcolePolytechnique", "École|Polytechnique"),
        ("lower", "lower"),
    ],
)
def test_a_hashtag_is_split_where_the_case_changes(hashtag, words):
    assert "|".join(split_hashtag(hashtag)) == words


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_tokens_and_spaces_join_to_any_text(text):
    doc = TOKENIZER(text)
    assert doc.text == text
    assert all(token.is_space or not any(map(str.isspace, token.text)) for token in doc)


@pytest.mark.parametrize(
    "piece", [".", "!", "a", "ab.", "a@", "-", "'", "😍", "#A", "http://", "1."]
)
def test_the_time_is_linear_in_the_length(piece):
    text = piece * (100_000 // len(piece))
    start = time.perf_counter()
    assert "".join(split_post(text)) == text
    # Quadratic time would be minutes.
    assert time.perf_counter() - start < 10


def test_a_pipeline_keeps_its_tokenizer(tmp_path):
    config = {"nlp": {"tokenizer": {"@tokenizers": "spacy_mner.PostTokenizer.v1"}}}
    spacy.blank("en", config=config).to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    assert [token.text for token in nlp("#NewYork @user")] == ["#", "New", "York", "@user"]
