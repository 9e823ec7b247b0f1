from __future__ import annotations

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from spacy_mner.corpus.join_words import join_words, spaces_after, with_joined_words


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
        ('RT " @ user : # a "', 'RT "@user: #a"'),
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


@given(st.lists(WORDS | st.text(min_size=1, max_size=5), min_size=1, max_size=12))
def test_words_and_the_spaces_after_them_are_the_joined_text(words):
    text = "".join(w + " " * s for w, s in zip(words, spaces_after(words), strict=True))
    assert text == join_words(words) or any(" " in word for word in words)


def test_a_doc_with_joined_words_has_a_text_and_is_otherwise_unchanged():
    doc = Doc(spacy.blank("en").vocab, ["(", "@", "name", "!"], tags=["P", "X", "N", "P"])
    doc.set_ents([Span(doc, 1, 3, "PER")], missing=[doc[3:4]])
    doc._.image, doc._.image_text, doc._.annotated_labels = "1.jpg", "a shoe", ["PER"]
    joined = with_joined_words(doc)
    assert (doc.has_unknown_spaces, joined.has_unknown_spaces) == (True, False)
    assert joined.text == "( @name!"
    assert [(e.start, e.end, e.label_) for e in joined.ents] == [(1, 3, "PER")]
    assert joined.to_array(["TAG", "ENT_IOB"]).tolist() == doc.to_array(["TAG", "ENT_IOB"]).tolist()
    assert joined.user_data == doc.user_data
