from __future__ import annotations

import json
import logging
import pickle
from dataclasses import replace
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
from spacy_mner.features.transformer import WordPieceTokenizer, split_windows

from ..encoders import write_bert, write_roberta
from .posts import initialize

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


def finalized(folder: Path, max_length: int = 64, **config: bool) -> TransformerFeaturizer:
    return initialize(TransformerFeaturizer(str(folder), max_length=max_length, **config))


def post(words: list[str], image_text: str | None = None) -> Doc:
    doc = Doc(VOCAB, words=words)
    doc._.image_text = image_text
    return doc


def segments_of(features: dict[str, np.ndarray], key: str = "pieces") -> list[list[int]]:
    ends = np.cumsum(features["lengths"])
    return [part.tolist() for part in np.split(features[key], ends[:-1])]


def pieces_of(featurizer: TransformerFeaturizer, docs: list[Doc]) -> list[list[str]]:
    """The pieces of each segment, as text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(featurizer.state["tokenizer"])
    features = featurizer(PostBatch.from_docs(docs))
    return [[tokenizer.id_to_token(i) for i in s] for s in segments_of(features)]


def library_encoding(folder: Path, words: list[str], pair: list[str] | None = None):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    return tokenizer(words, pair, is_split_into_words=True)


WORDS = ["Hi", "Bob", "co/x1", "JAGUAR", "!"]


@pytest.mark.parametrize("image_text", [None, "a dog"])
def test_pieces_of_a_post_and_of_its_image_text_equal_those_of_the_library(encoder, image_text):
    expected = library_encoding(encoder, WORDS, image_text and image_text.split())
    features = finalized(encoder, context=True)(PostBatch.from_docs([post(WORDS, image_text)]))
    assert segments_of(features) == [expected["input_ids"]]
    assert features["first_piece"].tolist() == [expected.word_to_tokens(i).start for i in range(5)]


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
def test_a_web_address_is_encoded_as_its_host(encoder, word, host):
    featurizer = finalized(encoder)
    docs = [post(["see", word, "Bob"]), post(["see", host, "Bob"])]
    address, plain = (featurizer(PostBatch.from_docs([doc])) for doc in docs)
    assert address["pieces"].tolist() == plain["pieces"].tolist()
    assert address["first_piece"].tolist() == plain["first_piece"].tolist()
    assert segments_of(plain) == [library_encoding(encoder, ["see", host, "Bob"])["input_ids"]]


def test_token_types_are_passed_to_encoders_that_have_them(bert, roberta):
    batch = PostBatch.from_docs([post(WORDS, "a dog")])
    expected = library_encoding(bert, WORDS, ["a", "dog"])["token_type_ids"]
    assert segments_of(finalized(bert, context=True)(batch), "types") == [expected]
    assert "types" not in finalized(roberta, context=True)(batch)


@pytest.mark.parametrize(
    ("context", "text"), [(True, None), (True, ""), (True, "  \n"), (True, 7), (False, "a dog")]
)
def test_a_post_is_encoded_alone_without_image_text_and_by_default(bert, context, text):
    doc = post(["hi"])
    doc.user_data[IMAGE_TEXT] = text
    assert pieces_of(finalized(bert, context=context), [doc]) == [["[CLS]", "hi", "[SEP]"]]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ud800 dog", "\ufffd dog"),
        ("a \udc00dog \udbff", "a \ufffddog \ufffd"),
        ("\ude00\ud83d dog", "\ufffd\ufffd dog"),
        ("a \ud83d\ude00 dog", "a 😀 dog"),
    ],
)
def test_unpaired_surrogates_in_the_image_text_are_replaced(encoder, text, read):
    featurizer = finalized(encoder, context=True)
    half, whole = (featurizer(PostBatch.from_docs([post(["hi"], t)])) for t in (text, read))
    assert half["pieces"].tolist() == whole["pieces"].tolist()


def test_image_dropout_drops_the_image_text(bert):
    batch = PostBatch.from_docs([post(["hi"], "a dog"), post(["hi"], "a dog")])
    batch = replace(batch, without_image=[True, False])
    assert finalized(bert, context=True)(batch)["lengths"].tolist() == [6, 3]


def test_the_image_text_is_truncated_to_the_rest_of_the_segment(bert):
    featurizer = finalized(bert, context=True, max_length=12)
    docs = [post(["hi"] * n, "a dog my ram bob viper") for n in (6, 5, 4, 3, 2)]
    assert sorted(map(len, pieces_of(featurizer, docs))) == [11, 12, 12, 12, 12]
    assert pieces_of(featurizer, docs[:1]) == [
        ["[CLS]", *["hi"] * 6, "[SEP]", "a", "dog", "my", "[SEP]"]
    ]


CAPTION = ["a", "dog", "my", "ram", "bob", "viper"]


@pytest.mark.parametrize(
    ("n_pieces", "n_segments"), [(10, 1), (23, 1), (25, 2), (29, 2), (30, 2), (40, 2), (100, 6)]
)
def test_every_segment_of_a_long_post_includes_the_image_text(bert, n_pieces, n_segments):
    featurizer = finalized(bert, context=True, max_length=32)
    words = [f"{i:x}"[-1] for i in range(n_pieces)]
    segments = pieces_of(featurizer, [post(words, " ".join(CAPTION))])
    assert len(segments) == n_segments
    for pieces in segments:
        assert pieces[-8:] == ["[SEP]", *CAPTION, "[SEP]"]
        assert len(pieces) == (32 if n_segments > 1 else n_pieces + 9)


@pytest.mark.parametrize("n_pieces", [22, 25, 29, 30, 40, 100])
def test_a_long_image_text_is_truncated_to_a_quarter_of_each_segment(bert, n_pieces):
    featurizer = finalized(bert, context=True, max_length=32)
    segments = pieces_of(featurizer, [post(["hi"] * n_pieces, " ".join(CAPTION * 9))])
    assert len(segments) > 1
    for pieces in segments:
        assert pieces == ["[CLS]", *["hi"] * 21, "[SEP]", *(CAPTION * 2)[:8], "[SEP]"]


@pytest.mark.parametrize(("n_pieces", "n_segments"), [(29, 1), (30, 1), (31, 2)])
def test_segments_reserve_nothing_for_an_absent_or_unused_image_text(bert, n_pieces, n_segments):
    for context, text in [(True, None), (True, " "), (False, "a dog")]:
        featurizer = finalized(bert, context=context, max_length=32)
        segments = pieces_of(featurizer, [post(["hi"] * n_pieces, text)])
        assert len(segments) == n_segments
        assert all(len(pieces) == min(n_pieces + 2, 32) for pieces in segments)


def test_the_image_text_is_left_out_of_segments_with_one_piece_of_the_post(bert):
    segments = pieces_of(finalized(bert, context=True, max_length=4), [post(["hi"] * 3, "a dog")])
    assert segments == [["[CLS]", "hi", "hi", "[SEP]"]] * 2


@pytest.mark.parametrize(
    ("context", "initializations", "n_warnings"),
    [
        (True, [[None, " "]], 1),
        (True, [[]], 1),
        (True, [[None, "a dog", None]], 0),
        (True, [["a dog"], []], 1),
        (False, [[None]], 0),
    ],
)
def test_initialization_with_context_but_without_image_texts_logs_one_warning(
    bert, caplog, context, initializations, n_warnings
):
    featurizer = TransformerFeaturizer(str(bert), context=context, max_length=64)
    with caplog.at_level(logging.WARNING, logger="spacy"):
        for texts in initializations:
            initialize(featurizer, *(post(["hi"], text) for text in texts))
    assert ["no training post" in one.message for one in caplog.records] == [True] * n_warnings


def test_a_token_without_pieces_is_the_unknown_piece_and_a_special_one_ordinary_text(bert):
    words = ["hi", "\ufe0f", "\u200b", " ", "\u00a0", "🎸", "bob", "[SEP]"]
    [pieces] = pieces_of(finalized(bert), [post(words)])
    assert pieces[:8] == ["[CLS]", "hi", *["[UNK]"] * 5, "bob"]
    assert pieces[-1] == "[SEP]" not in pieces[:-1]


def test_segments_are_sorted_by_length(bert):
    features = finalized(bert)(PostBatch.from_docs([post(["hi"] * n) for n in (1, 4, 0, 2)]))
    assert features["lengths"].tolist() == [6, 4, 3, 3]


WORDS_OF_ALL_KINDS = ["hi", "bob", "\ufe0f", "\u200b", "\u00ad", "\ufffd", "🎸", "👨‍👩‍👧", "x" * 90]
ANY_WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ANY_WORD |= st.sampled_from(WORDS_OF_ALL_KINDS)
ANY_TEXT = st.sampled_from([None, "a dog", "ram \udc00 " * 50])
POSTS = st.lists(st.tuples(st.lists(ANY_WORD, max_size=40), ANY_TEXT), min_size=1, max_size=4)


@given(posts=POSTS, max_length=st.integers(5, 64))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_token_is_aligned_with_its_first_piece(encoder, posts, max_length):
    from transformers import AutoTokenizer

    library = AutoTokenizer.from_pretrained(encoder, add_prefix_space=True)
    library.backend_tokenizer.encode_special_tokens = True
    featurizer = finalized(encoder, context=True, max_length=max_length)
    features = featurizer(PostBatch.from_docs([post(*one) for one in posts]))
    assert features["lengths"].max() <= max_length
    words = [word for words, _ in posts for word in words]
    assert len(features["first_piece"]) == len(words)
    for word, place in zip(words, features["first_piece"], strict=True):
        ids = library([word], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        assert features["pieces"][place] == (ids or [library.unk_token_id])[0]


@given(posts=POSTS, max_length=st.integers(5, 64))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_features_are_independent_of_the_batch(bert, posts, max_length):
    featurizer = finalized(bert, context=True, max_length=max_length)

    def read(batch: list) -> list:
        """The segment of each token, and the column of its piece there."""
        features = featurizer(PostBatch.from_docs([post(*one) for one in batch]))
        starts = np.cumsum(features["lengths"]) - features["lengths"]
        segment = np.searchsorted(starts, features["first_piece"], side="right") - 1
        parts = segments_of(features)
        places = features["first_piece"] - starts[segment]
        return [(parts[s], place) for s, place in zip(segment, places, strict=True)]

    assert read(posts) == [token for one in posts for token in read([one])]


@given(n_pieces=st.integers(0, 300), window=st.integers(1, 40))
@settings(deadline=None)
def test_each_position_is_in_the_window_where_it_is_farthest_from_a_cut(n_pieces, window):
    starts, owner = split_windows(n_pieces, window, np.arange(n_pieces))
    ends = np.minimum(starts + window, n_pieces)
    for place in range(n_pieces):
        before = np.where(starts > 0, place - starts, np.inf)
        after = np.where(ends < n_pieces, ends - 1 - place, np.inf)
        distances = np.minimum(before, after)
        distances[(place < starts) | (place >= ends)] = -1
        assert distances[owner[place]] == max(distances) >= 0


def test_windows_overlap_by_at_least_a_quarter():
    starts, _ = split_windows(1000, 40, np.arange(0))
    assert (starts[0], starts[-1]) == (0, 960)
    assert np.diff(starts).max() <= 30


def test_a_max_length_without_room_for_a_piece_raises_with_the_minimum(bert):
    with pytest.raises(ValueError, match="max_length must be at least 4"):
        finalized(bert, max_length=3)


def test_segments_are_limited_to_the_maximum_of_the_encoder(encoder):
    batch = PostBatch.from_docs([post(["hi"] * 200, "a dog")])
    read, more = (finalized(encoder, context=True, max_length=n)(batch) for n in (64, 256))
    assert read["lengths"].max() == 64
    assert all(np.array_equal(more[name], expected) for name, expected in read.items())


def test_positions_up_to_the_padding_are_not_available(tmp_path):
    folder = write_roberta(tmp_path, longest=None)
    assert finalized(folder).files.longest == 64


def test_an_empty_post_is_the_unknown_piece_under_a_tokenizer_without_special_pieces(tmp_path):
    write_bert(tmp_path)
    rules = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps({**rules, "post_processor": None}))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names))
    seen = pieces_of(finalized(tmp_path), [post([]), post(["Bob"])])
    assert seen == [["[UNK]"], ["bob"]]


def test_the_state_is_json_and_independent_of_the_folder(bert, tmp_path):
    folder = write_bert(tmp_path / "moved")
    state = json.loads(json.dumps(finalized(folder).state))
    assert str(tmp_path) not in json.dumps(state)
    other = TransformerFeaturizer("nowhere", max_length=64)
    other.state = state
    batch = PostBatch.from_docs([post(WORDS)])
    expected = finalized(bert)(batch)
    for name, array in other(batch).items():
        np.testing.assert_array_equal(array, expected[name])
    assert other.dims() == finalized(bert).dims()


def test_pieces_are_the_same_after_pickling(bert):
    featurizer = finalized(bert)
    batch = PostBatch.from_docs([post(["[SEP]", "hi"])])
    again = pickle.loads(pickle.dumps(featurizer))
    np.testing.assert_array_equal(again(batch)["pieces"], featurizer(batch)["pieces"])


def test_use_before_initialization_raises():
    with pytest.raises(ValueError, match="initialize"):
        TransformerFeaturizer("bert").dims()


def test_the_piece_of_a_space_is_left_out_where_a_script_has_none():
    """SentencePiece, as in XLM-RoBERTa: every Chinese character would begin with that piece."""
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace

    pieces = ["<unk>", "▁", "老", "王", "▁x", "a", "👍"]
    tokenizer = Tokenizer(Unigram([(piece, -1.0) for piece in pieces], unk_id=0))
    tokenizer.pre_tokenizer = Metaspace()
    encoded = WordPieceTokenizer(tokenizer.to_str()).encode_words(
        ["老", "老王", "xa", "👍", "\u3000"]
    )
    named = [[pieces[i] for i in ids] for ids in encoded]
    assert named[:4] == [["老"], ["老", "王"], ["▁x", "a"], ["▁", "👍"]]
    assert named[4]
