from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import spacy
from hypothesis import example, given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.extensions import IMAGE_DROPOUT, IMAGE_TEXT
from spacy_mner.features import ImageTextMatchFeaturizer
from spacy_mner.features.batch import PostBatch

from .posts import initialize

NLP = spacy.blank("en")
# Features in the order of their columns, and their number of values.
N_VALUES = (4, 5, 6, 6, 2)
NONE, FUZZY, FOLDED, EXACT = range(4)
UNCASED, LOWER, CAPITALIZED, UPPER = range(1, 5)


def post(words: list[str], image_text: str | None) -> Doc:
    doc = Doc(NLP.vocab, words=words)
    doc._.image_text = image_text
    return doc


def read(*docs: Doc) -> tuple[np.ndarray, np.ndarray]:
    """The features of all tokens, each counted from 0, and where they are available."""
    features = ImageTextMatchFeaturizer()(PostBatch.from_docs(docs))
    values = features["values"]
    offsets = [sum(N_VALUES[:i]) for i in range(len(N_VALUES))]
    for column, (low, high) in enumerate(pairwise([*offsets, sum(N_VALUES)])):
        assert ((low <= values[:, column]) & (values[:, column] < high)).all()
    return values - offsets, features["available"]


NOTHING = (NONE, 0, 0, 0, 0)
HERON = "at blue heron tonight"


@pytest.mark.parametrize(
    ("text", "image_text", "expected"),
    [
        (HERON, "BLUE HERON", {1: (FOLDED, UPPER, 2, 4, 1), 2: (FOLDED, UPPER, 2, 4, 0)}),
        (HERON, "Meet the Blue\nHeron!", {1: (FOLDED, CAPITALIZED, 2, 4, 1)}),
        (HERON, "no blue heron", {1: (EXACT, LOWER, 2, 4, 1)}),
        (HERON, "Blue jeans", {1: (FOLDED, CAPITALIZED, 1, 3, 1), 2: NOTHING}),
        (HERON, "ABC HER0N", {1: NOTHING, 2: (FUZZY, UPPER, 1, 3, 1), 3: NOTHING}),
        (HERON, "BLUEHERON", {1: (FOLDED, UPPER, 2, 4, 1), 2: (FOLDED, UPPER, 2, 4, 0)}),
        ("love #BlueHeron", "BLUE HERON", {1: (FOLDED, UPPER, 1, 4, 1)}),
        ("at hiltop dinner", "HILLTOP DINER", {0: NOTHING, 1: (FUZZY, UPPER, 2, 4, 1)}),
        ("rock - n - roll -", "ROCK'N'ROLL", {2: (FOLDED, UPPER, 5, 4, 0), 5: NOTHING}),
        ("house of cards", "House of Cards", {1: (FOLDED, CAPITALIZED, 3, 4, 0)}),
        ("a silver lining", "Silver lining", {1: (FOLDED, LOWER, 2, 4, 1)}),
        ("gate 24", "24 HOURS", {0: NOTHING, 1: (EXACT, UNCASED, 1, 2, 1)}),
        ("去 星巴克", "星巴克咖啡", {0: NOTHING, 1: (EXACT, UNCASED, 1, 2, 1)}),
        ("サンフランシスコ", "サンフランシスコ市", {0: (EXACT, UNCASED, 1, 4, 1)}),
        ("サ ン フ ラ ン シ ス コ", "サンフランシスコ", {7: (EXACT, UNCASED, 5, 4, 0)}),
        ("สวัสดี", "สวัสดีครับ", {0: (EXACT, UNCASED, 1, 3, 1)}),
        ("ส ว ั ส ด ี", "สวัสดีครับ", {2: (EXACT, UNCASED, 5, 3, 0)}),
        ("กรุงเทพ", "กรุงเทพมหานคร", {0: (EXACT, UNCASED, 1, 3, 1)}),
        ("ရန်ကုန်", "ရန်ကုန်မြို့", {0: (EXACT, UNCASED, 1, 3, 1)}),
        ("中华人民共和国", "中华人民共和国", {0: (EXACT, UNCASED, 1, 3, 1)}),
        ("中 华 人民 共和 国 中央", "中华人民共和国中央政府", {5: (EXACT, UNCASED, 5, 4, 0)}),
        ("2020年3月15日から", "2020年3月15日からIPHONE発売", {0: (EXACT, UNCASED, 1, 4, 1)}),
        ("iPhone発売中です", "2020年IPHONE発売中です", {0: (FOLDED, UPPER, 1, 4, 1)}),
        ("Phone発売", "iPhone発売", {0: (FUZZY, LOWER, 1, 3, 1)}),
        ("J e a n - P a u l", "Jean-Paul", {8: (EXACT, CAPITALIZED, 5, 4, 0)}),
        ("blue ❤ \ufe0f", "blue ❤ \ufe0f", {0: (EXACT, LOWER, 1, 3, 1), 2: NOTHING}),
        ("في القاهرة", "القاهرة", {0: NOTHING, 1: (EXACT, UNCASED, 1, 3, 1)}),
        ("Ｃａｆé 😀 !", "CAFÉ 😀 !", {0: (FOLDED, UPPER, 1, 3, 1), 1: NOTHING, 2: NOTHING}),
        # The longest span wins, then the first one.
        ("up up we", "UP UP WE", {0: (FOLDED, UPPER, 3, 3, 1), 2: (FOLDED, UPPER, 3, 3, 0)}),
        ("a b c", "A B + B C", {1: (FOLDED, UPPER, 2, 2, 0), 2: (FOLDED, UPPER, 1, 1, 1)}),
    ],
)  # fmt: skip
def test_a_token_has_the_features_of_its_match(text, image_text, expected):
    values, available = read(post(text.split(), image_text))
    assert {i: tuple(values[i]) for i in expected} == expected
    assert available.all()


@pytest.mark.parametrize("text", [None, "", " \n", "😀 !!", 7])
def test_a_post_without_words_in_its_image_text_is_masked(text):
    doc = post(HERON.split(), None)
    doc.user_data[IMAGE_TEXT] = text  # a DocBin may hold any value
    values, available = read(doc, post(["blue"], "BLUE"))
    assert available.tolist() == [False] * 4 + [True]
    assert not values[:4].any()


def test_image_dropout_masks_the_image_text():
    doc = post(["blue"], "BLUE")
    doc.user_data[IMAGE_DROPOUT] = 1.0
    featurizer = ImageTextMatchFeaturizer()
    found = [
        featurizer(PostBatch.from_docs([doc], is_train=is_train))["available"].tolist()
        for is_train in (False, True)
    ]
    assert found == [[True], [False]]


def test_training_posts_without_image_text_are_refused():
    with pytest.raises(ValueError, match="image_text"):
        initialize(ImageTextMatchFeaturizer(), post(["blue"], None), post(["blue"], " "))
    initialize(ImageTextMatchFeaturizer(), post(["blue"], None), post(["blue"], "BLUE"))


# Letters of scripts without spaces, then of other ones; some are decomposed.
UNSPACED = [
    *["中", "华", "サ", "ー", "か\u3099", "ｶ\uff9e", "ก", "รุ", "วั", "ดี", "น้ำ", "เ"],
    *["ရ", "န်", "မြို့", "ក្រុ", "ລາ", "བོ", "༢"],
]
SPACED = [
    *["a", "B", "é", "e\u0301", "ß", "İ", "ж", "Й", "ς", "ق", "بّ", "दि", "ल्", "क़"],
    *["한", "\u1112\u1161\u11ab", "9"],
]


@st.composite
def phrases_in_texts(draw: Any) -> tuple[list[str], str]:
    """The letters or words of a phrase, and a text in which it occurs."""
    letters = st.sampled_from(UNSPACED)
    if draw(st.booleans()):
        texts = st.lists(letters | st.sampled_from([*SPACED, "-", "、"]), max_size=30)
        phrase = [draw(letters), *draw(texts), draw(letters)]
        return phrase, "".join([*draw(texts), *phrase, *draw(texts)])
    words = st.lists(st.sampled_from(SPACED), min_size=1, max_size=3).map("-".join)
    texts = st.lists(words, min_size=1, max_size=3)
    phrase = draw(texts)
    return phrase, " ".join([*draw(texts), *phrase, *draw(texts)])


@pytest.mark.parametrize("split", [lambda parts: ["".join(parts)], list, "".join])
@given(phrases_in_texts())
def test_a_phrase_of_the_image_text_is_exact_whichever_way_it_is_tokenized(split, given_phrase):
    parts, image_text = given_phrase
    words = [*split(parts)]
    values, _ = read(post(words, image_text))
    kinds = {kind for word, kind in zip(words, values[:, 0], strict=True) if word not in "-、"}
    assert kinds == {EXACT}


WORDS = st.text("abAB-é", min_size=1, max_size=7)
POSTS = st.tuples(st.lists(WORDS, max_size=7), st.lists(WORDS, max_size=7).map(" ".join))


@given(POSTS)
@example((["aaaab", "b", "aaaabb"], "aaaaa b"))
def test_features_equal_those_of_a_brute_force_search(given_post):
    words, image_text = given_post
    values, available = read(post(words, image_text))
    assert values.tolist() == brute_force(words, image_text)
    assert available.all() or not available.any()


@given(st.lists(POSTS, max_size=4))
def test_features_do_not_depend_on_the_other_posts_of_the_batch(given_posts):
    docs = [post(*one) for one in given_posts]
    together = read(*docs)
    alone = [read(doc) for doc in docs]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=False):
        np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize(
    "unit",
    ["x", "x ", "Name ", "😀", "😀 a ", "القاهرة ", "\u202eabc\u200b ", "e\u0301", "\ufdfa "],
)
def test_hostile_image_texts_and_posts_take_little_time(unit):
    hostile = unit * (100_000 // len(unit))
    words = [f"{unit.strip()}{i % 50}" for i in range(300)] + [hostile.replace(" ", "")]
    start = time.process_time()
    read(post(words, hostile))
    assert time.process_time() - start < 2


ONE_PAGE = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))


@pytest.mark.parametrize(
    ("words", "image_text"),
    [
        (list(ONE_PAGE[:1000]), ONE_PAGE),
        (["中"] * 1000, "中" * 3000),
        (["a中" * i for i in range(1, 300)], "a中" * 1000),
        ([f"name{i}" for i in range(1000)], " ".join(f"name{i}" for i in range(500))),
    ],
)
def test_long_posts_and_image_texts_take_little_time(words, image_text):
    start = time.process_time()
    read(post(words, image_text))
    assert time.process_time() - start < 2


def compact(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def brute_force(words: list[str], image_text: str) -> list[list[int]]:
    """The features by repeated search for the best pair of a free span and a phrase."""
    shown = [compact(word) for word in image_text.split() if compact(word)]
    phrases = [
        shown[i:j] for i in range(len(shown)) for j in range(i + 1, i + 6) if j <= len(shown)
    ]
    rows = [[0] * len(N_VALUES) for _ in words]
    equal_is_left = True
    while True:
        best = None
        for i in range(len(words)):
            for j in range(i + 1, len(words) + 1):
                is_spelled = equal_is_left and all(len(compact(w)) <= 1 for w in words[i:j])
                if j - i > 5 and not is_spelled:
                    break
                form = compact("".join(words[i:j]))
                busy = any(any(row) for row in rows[i:j])
                edges = compact(words[i]) and compact(words[j - 1])
                if busy or not edges:
                    continue
                for phrase in phrases:
                    key = "".join(phrase)
                    common = 2 * n_common(form.lower(), key.lower())
                    total = len(form) + len(key)
                    if common == total if equal_is_left else is_similar(form, key, common):
                        score = 0 if equal_is_left else common - (total - common)
                        rank = (score, j - i, -i)
                        if best is None or rank > best[0]:
                            best = rank, i, j, form, key
        if best is None and equal_is_left:
            equal_is_left = False
            continue
        if best is None:
            return rows
        _, i, j, form, key = best
        same = [p for p in phrases if "".join(p).lower() == key.lower()]
        kind = FUZZY
        if equal_is_left:
            kind = EXACT if form in map("".join, same) else FOLDED
        size = 1 + sum(len(form) >= 2**n for n in range(1, 5))
        for k in range(i, j):
            rows[k] = [kind, max(map(case, same)), min(j - i, 5), size, int(k == i)]


def is_similar(form: str, key: str, common: int) -> bool:
    return common >= 0.8 * (len(form) + len(key)) and len(form) >= 5 and len(key) >= 5


def case(phrase: list[str]) -> int:
    text = "".join(phrase)
    if text == text.upper():
        return UPPER
    ends = phrase[0][0], phrase[-1][0]
    return CAPITALIZED if all(c == c.upper() for c in ends) else LOWER


def n_common(a: str, b: str) -> int:
    """The length of the longest common subsequence."""
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longer = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if x == y else longer
    return lengths[-1][-1]
