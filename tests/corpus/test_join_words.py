from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.join_words import join_words


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("老 王 说 北 京 很 美 。", "老王说北京很美。"),
        ("用 iPhone 拍", "用 iPhone 拍"),
        ("これ は 京都", "これは京都"),
        ("สวัสดี ครับ", "สวัสดีครับ"),
        ("서울 에 가요", "서울 에 가요"),
        ("Hi , Bob ! ( see above ) .", "Hi, Bob! (see above)."),
        ("I ca n't , it 's Mary ’s", "I can't, it's Mary’s"),
        ("Victoria ' s Secret", "Victoria's Secret"),
        ("RT @ user : # sale at $ 5 or 10 %", "RT @user: #sale at $5 or 10%"),
        ('" so good " he said', '"so good" he said'),
        ("the ' best ' one and ' another", "the 'best' one and ' another"),
        ("to be or - to be", "to be or - to be"),
        ("", ""),
    ],
)
def test_words_are_joined_as_they_are_written(words, text):
    assert join_words(words.split(" ")) == text


WORDS = st.sampled_from([*"\"'@#$([)].,!?老京ก한", "n't", "'s", "s", "Bob", "\xa0", "\n", "👍🏿"])


@given(st.lists(WORDS | st.text(min_size=1, max_size=5), max_size=12))
def test_all_characters_but_spaces_are_kept(words):
    assert join_words(words).replace(" ", "") == "".join(words).replace(" ", "")
