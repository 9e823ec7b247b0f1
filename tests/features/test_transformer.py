from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.extensions import IMAGE_TEXT
from spacy_mner.features import TransformerFeaturizer
from spacy_mner.features.batch import PostBatch
from spacy_mner.features.transformer import cut

from ..encoders import write_bert, write_roberta

pytest.importorskip("transformers")
VOCAB = spacy.blank("en").vocab


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_roberta(tmp_path_factory.mktemp("encoder") / "roberta")


@pytest.fixture(scope="module", params=["bert", "roberta"])
def encoder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def settled(folder: Path, max_length: int = 64, **config: bool) -> TransformerFeaturizer:
    featurizer = TransformerFeaturizer(str(folder), max_length=max_length, **config)
    featurizer.finalize()
    return featurizer


def post(words: list[str], image_text: str | None = None) -> Doc:
    doc = Doc(VOCAB, words=words)
    doc._.image_text = image_text
    return doc


def segments_of(features: dict[str, np.ndarray], key: str = "pieces") -> list[list[int]]:
    ends = np.cumsum(features["lengths"])
    return [part.tolist() for part in np.split(features[key], ends[:-1])]


def seen_by(featurizer: TransformerFeaturizer, docs: list[Doc]) -> list[list[str]]:
    """The text of every piece that the encoder reads, segment by segment."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(featurizer.state["tokenizer"])
    features = featurizer(PostBatch.from_docs(docs))
    return [[tokenizer.id_to_token(i) for i in s] for s in segments_of(features)]


def reference(folder: Path, words: list[str], pair: list[str] | None = None):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    return tokenizer(words, pair, is_split_into_words=True)


WORDS = ["Hi", "Bob", "co/x1", "JAGUAR", "!"]


def test_a_post_reads_as_the_tokenizer_of_the_library_has_it(encoder):
    expected = reference(encoder, WORDS)
    features = settled(encoder)(PostBatch.from_docs([post(WORDS)]))
    assert segments_of(features) == [expected["input_ids"]]
    assert features["place"].tolist() == [expected.word_to_tokens(i).start for i in range(5)]


@pytest.mark.parametrize(
    ("word", "host"),
    [
        ("http://t.co/Z3neVBQ7vF", "t.co"),
        ("HTTPS://www.News.com?id=1#top", "News.com"),
        ("http://t.co", "t.co"),
        ("http://", "http://"),
        ("co/Z3neVBQ7vF", "co/Z3neVBQ7vF"),
        ("amazon.com", "amazon.com"),
    ],
)
def test_of_a_web_address_the_host_alone_is_read(encoder, word, host):
    featurizer = settled(encoder)
    docs = [post(["see", word, "Bob"]), post(["see", host, "Bob"])]
    address, plain = (featurizer(PostBatch.from_docs([doc])) for doc in docs)
    assert address["pieces"].tolist() == plain["pieces"].tolist()
    assert address["place"].tolist() == plain["place"].tolist()
    # The host is spelled as the library has it, so that this compares more than two mistakes.
    assert segments_of(plain) == [reference(encoder, ["see", host, "Bob"])["input_ids"]]


def test_the_text_about_the_image_is_read_after_the_post_and_carries_no_token(encoder):
    expected = reference(encoder, WORDS, ["a", "dog"])
    features = settled(encoder, context=True)(PostBatch.from_docs([post(WORDS, "a dog")]))
    assert segments_of(features) == [expected["input_ids"]]
    assert features["place"].tolist() == [expected.word_to_tokens(i).start for i in range(5)]


def test_an_encoder_that_tells_texts_apart_is_told_which_is_which(bert, roberta):
    batch = PostBatch.from_docs([post(WORDS, "a dog")])
    expected = reference(bert, WORDS, ["a", "dog"])["token_type_ids"]
    assert segments_of(settled(bert, context=True)(batch), "types") == [expected]
    assert "types" not in settled(roberta, context=True)(batch)


@pytest.mark.parametrize("text", [None, "", "  \n", 7])
def test_without_text_about_the_image_a_post_is_read_alone(bert, text):
    doc = post(["hi"])
    doc.user_data[IMAGE_TEXT] = text
    assert seen_by(settled(bert, context=True), [doc]) == [["[CLS]", "hi", "[SEP]"]]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ud800 dog", "\ufffd dog"),
        ("a \udc00dog \udbff", "a \ufffddog \ufffd"),
        ("\ude00\ud83d dog", "\ufffd\ufffd dog"),
        ("a \ud83d\ude00 dog", "a 😀 dog"),
    ],
)
def test_half_a_character_in_text_about_the_image_is_an_unknown_one(encoder, text, read):
    featurizer = settled(encoder, context=True)
    half, whole = (featurizer(PostBatch.from_docs([post(["hi"], t)])) for t in (text, read))
    assert half["pieces"].tolist() == whole["pieces"].tolist()


def test_text_about_the_image_is_read_only_where_asked_for(bert):
    assert seen_by(settled(bert), [post(["hi"], "a dog")]) == [["[CLS]", "hi", "[SEP]"]]


def test_a_post_that_does_without_its_image_does_without_the_text_about_it(bert):
    batch = PostBatch.from_docs([post(["hi"], "a dog"), post(["hi"], "a dog")])
    batch.without_image = [True, False]
    assert settled(bert, context=True)(batch)["lengths"].tolist() == [6, 3]


def test_the_text_about_the_image_gets_the_room_that_the_post_leaves(bert):
    featurizer = settled(bert, context=True, max_length=12)
    docs = [post(["hi"] * n, "a dog my ram bob viper") for n in (6, 5, 4, 3, 2)]
    assert sorted(map(len, seen_by(featurizer, docs))) == [11, 12, 12, 12, 12]
    assert seen_by(featurizer, docs[:1]) == [
        ["[CLS]", *["hi"] * 6, "[SEP]", "a", "dog", "my", "[SEP]"]
    ]


CAPTION = ["a", "dog", "my", "ram", "bob", "viper"]


@pytest.mark.parametrize(
    ("n_pieces", "n_segments"), [(10, 1), (23, 1), (25, 2), (29, 2), (30, 2), (40, 2), (100, 6)]
)
def test_every_segment_of_a_long_post_has_room_for_the_text_about_the_image(
    bert, n_pieces, n_segments
):
    featurizer = settled(bert, context=True, max_length=32)
    words = [f"{i:x}"[-1] for i in range(n_pieces)]
    segments = seen_by(featurizer, [post(words, " ".join(CAPTION))])
    assert len(segments) == n_segments
    for pieces in segments:
        assert pieces[-8:] == ["[SEP]", *CAPTION, "[SEP]"]
        assert len(pieces) == (32 if n_segments > 1 else n_pieces + 9)


@pytest.mark.parametrize("n_pieces", [22, 25, 29, 30, 40, 100])
def test_a_long_text_about_the_image_takes_a_quarter_of_each_segment_at_most(bert, n_pieces):
    featurizer = settled(bert, context=True, max_length=32)
    segments = seen_by(featurizer, [post(["hi"] * n_pieces, " ".join(CAPTION * 9))])
    assert len(segments) > 1
    for pieces in segments:
        assert pieces == ["[CLS]", *["hi"] * 21, "[SEP]", *(CAPTION * 2)[:8], "[SEP]"]


@pytest.mark.parametrize(("n_pieces", "n_segments"), [(29, 1), (30, 1), (31, 2)])
def test_no_room_is_kept_for_text_that_is_not_there_or_not_read(bert, n_pieces, n_segments):
    for context, text in [(True, None), (True, " "), (False, "a dog")]:
        featurizer = settled(bert, context=context, max_length=32)
        segments = seen_by(featurizer, [post(["hi"] * n_pieces, text)])
        assert len(segments) == n_segments
        assert all(len(pieces) == min(n_pieces + 2, 32) for pieces in segments)


def test_the_shortest_segments_hold_the_post_alone(bert):
    """Where one piece of a post leaves no room beside it."""
    segments = seen_by(settled(bert, context=True, max_length=4), [post(["hi"] * 3, "a dog")])
    assert segments == [["[CLS]", "hi", "hi", "[SEP]"]] * 2


@pytest.mark.parametrize(
    ("context", "texts", "n_warnings"),
    [
        (True, [None, " "], 1),
        (True, [], 1),
        (True, [None, "a dog", None], 0),
        (False, [None], 0),
    ],
)
def test_one_warning_says_that_no_training_post_has_the_text_to_be_read(
    bert, caplog, context, texts, n_warnings
):
    featurizer = TransformerFeaturizer(str(bert), context=context, max_length=64)
    with caplog.at_level(logging.WARNING, logger="spacy"):
        for text in texts:
            featurizer.update_vocab(post(["hi"], text), None)
        featurizer.finalize()
    assert [record.message.count("no training post") for record in caplog.records] == (
        [1] * n_warnings
    )


def test_each_initialization_looks_for_the_text_anew(bert, caplog):
    featurizer = TransformerFeaturizer(str(bert), context=True, max_length=64)
    featurizer.update_vocab(post(["hi"], "a dog"), None)
    featurizer.finalize()
    assert not caplog.records
    featurizer.finalize()
    assert "no training post brings image_text" in caplog.text


def test_a_token_without_a_piece_of_its_own_is_the_unknown_piece_in_its_place(bert):
    words = ["hi", "\ufe0f", "\u200b", " ", "\u00a0", "🎸", "bob"]
    seen = seen_by(settled(bert), [post(words)])
    assert seen == [["[CLS]", "hi", *["[UNK]"] * 5, "bob", "[SEP]"]]


def test_a_post_that_spells_a_special_piece_does_not_get_one(bert):
    assert "[SEP]" not in seen_by(settled(bert), [post(["hi", "[SEP]", "bob"])])[0][:-1]


def test_segments_come_longest_first(bert):
    features = settled(bert)(PostBatch.from_docs([post(["hi"] * n) for n in (1, 4, 0, 2)]))
    assert features["lengths"].tolist() == [6, 4, 3, 3]


ANY_WORD = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(
        ["hi", "bob", "\ufe0f", "\u200b", "\u00ad", "\ufffd", "🎸", "👨‍👩‍👧", "x" * 90]
    ),
)
POSTS = st.lists(
    st.tuples(
        st.lists(ANY_WORD, max_size=40), st.sampled_from([None, "a dog", "ram \udc00 " * 50])
    ),
    min_size=1,
    max_size=4,
)


@given(posts=POSTS, max_length=st.integers(5, 64))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_token_stands_at_its_first_piece_whatever_it_is(encoder, posts, max_length):
    """Checked against the library's own pieces of each word, one word at a time."""
    from transformers import AutoTokenizer

    library = AutoTokenizer.from_pretrained(encoder, add_prefix_space=True)
    library.backend_tokenizer.encode_special_tokens = True
    featurizer = settled(encoder, context=True, max_length=max_length)
    features = featurizer(PostBatch.from_docs([post(*one) for one in posts]))
    assert features["lengths"].max() <= max_length
    words = [word for words, _ in posts for word in words]
    assert len(features["place"]) == len(words)
    for word, place in zip(words, features["place"], strict=True):
        ids = library([word], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        assert features["pieces"][place] == (ids or [library.unk_token_id])[0]


@given(posts=POSTS, max_length=st.integers(5, 64))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_post_is_read_the_same_in_any_batch(bert, posts, max_length):
    featurizer = settled(bert, context=True, max_length=max_length)

    def read(batch: list) -> list:
        """What a token's place is among: the pieces to its left and right in its segment."""
        features = featurizer(PostBatch.from_docs([post(*one) for one in batch]))
        starts = np.cumsum(features["lengths"]) - features["lengths"]
        segment = np.searchsorted(starts, features["place"], side="right") - 1
        parts = segments_of(features)
        places = features["place"] - starts[segment]
        return [(parts[s], place) for s, place in zip(segment, places, strict=True)]

    assert read(posts) == [token for one in posts for token in read([one])]


@given(n_pieces=st.integers(0, 300), window=st.integers(1, 40))
@settings(deadline=None)
def test_a_piece_is_taken_from_the_window_in_which_it_is_farthest_from_a_cut(n_pieces, window):
    starts, owner = cut(n_pieces, window, np.arange(n_pieces))
    ends = np.minimum(starts + window, n_pieces)
    for place in range(n_pieces):
        distances = [
            min(
                place - start if start else np.inf,
                end - 1 - place if end < n_pieces else np.inf,
            )
            if start <= place < end
            else -1
            for start, end in zip(starts, ends, strict=True)
        ]
        assert distances[owner[place]] == max(distances) >= 0


def test_windows_of_a_long_post_overlap_by_a_quarter_at_least():
    starts, _ = cut(1000, 40, np.arange(0))
    assert starts[0] == 0
    assert starts[-1] == 960
    assert np.diff(starts).max() <= 30


def test_a_length_that_has_no_room_for_a_piece_is_refused_with_the_least(bert):
    with pytest.raises(ValueError, match="max_length must be 4 word pieces at least"):
        settled(bert, max_length=3)


def test_a_segment_is_no_longer_than_the_encoder_can_read(encoder):
    batch = PostBatch.from_docs([post(["hi"] * 200, "a dog")])
    read, more = (settled(encoder, context=True, max_length=n)(batch) for n in (64, 256))
    assert read["lengths"].max() == 64
    assert all(np.array_equal(more[name], expected) for name, expected in read.items())


def test_positions_that_begin_behind_the_padding_are_fewer(tmp_path):
    folder = write_roberta(tmp_path, longest=None)
    assert settled(folder).files.longest == 64


def test_a_post_without_tokens_is_a_piece_where_the_tokenizer_puts_nothing_around_it(tmp_path):
    write_bert(tmp_path)
    rules = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**rules, "post_processor": None}))
    seen = seen_by(settled(tmp_path), [post([]), post(["Bob"])])
    assert seen == [["[UNK]"], ["bob"]]


def test_the_state_is_json_and_needs_no_folder(bert, tmp_path):
    folder = write_bert(tmp_path / "moved")
    state = json.loads(json.dumps(settled(folder).state))
    assert str(tmp_path) not in json.dumps(state)
    other = TransformerFeaturizer("nowhere", max_length=64)
    other.state = state
    batch = PostBatch.from_docs([post(WORDS)])
    expected = settled(bert)(batch)
    for name, array in other(batch).items():
        np.testing.assert_array_equal(array, expected[name])
    assert other.dims() == settled(bert).dims()


def test_it_is_picklable_and_spells_as_before(bert):
    featurizer = settled(bert)
    batch = PostBatch.from_docs([post(["[SEP]", "hi"])])
    again = pickle.loads(pickle.dumps(featurizer))
    np.testing.assert_array_equal(again(batch)["pieces"], featurizer(batch)["pieces"])


def test_an_uninitialized_one_says_so():
    with pytest.raises(ValueError, match="initialize"):
        TransformerFeaturizer("bert").dims()
