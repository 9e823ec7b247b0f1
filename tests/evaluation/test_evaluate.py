from __future__ import annotations

import json

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_mner.evaluation.evaluate import count_status, evaluate, predict
from spacy_mner.evaluation.image_ablation import ShuffleError
from spacy_mner.evaluation.scorer import score_entities

from .standin import make_pipeline, make_post

POSTS = [("ORG", "ORG.jpg"), ("ANIMAL", "ANIMAL.jpg"), ("ORG", None), (None, None)]


@pytest.fixture
def nlp():
    return make_pipeline()


@pytest.fixture
def posts(nlp):
    return [make_post(nlp.vocab, label, image) for label, image in POSTS]


def test_scores_are_computed_from_the_output_of_the_pipeline(nlp, posts):
    scores = evaluate(nlp, posts)
    assert scores["ents_p"] == 1
    assert scores["ents_r"] == pytest.approx(2 / 3)
    assert scores["ents_per_type"]["ANIMAL"]["f"] == 1
    assert (scores["posts"], scores["posts_with_image"], scores["tokens"]) == (4, 2, 12)
    assert scores["image_status"] == {"used": 2, "absent": 2}
    assert scores["words_per_second"] > 0


def test_images_off_and_shuffled_change_the_input_but_not_the_annotated_posts(nlp, posts):
    before = [doc.to_bytes() for doc in posts]
    off = evaluate(nlp, posts, images="off")
    assert (off["ents_f"], off["image_status"]) == (0, {"absent": 4})
    shuffled = evaluate(nlp, posts, images="shuffled", seed=3)
    assert (shuffled["ents_f"], shuffled["segmentation_p"]) == (0, 1)
    assert (shuffled["images"], shuffled["seed"]) == ("shuffled", 3)
    assert [doc.to_bytes() for doc in posts] == before


def test_tokens_are_kept_if_spaces_are_unknown(nlp, posts):
    assert len(nlp.make_doc(posts[0].text)) != len(posts[0])
    assert evaluate(nlp, posts[:2])["ents_f"] == 1


# Tokens split at gold spans, their spaces and tags.
SPLIT = [
    (["thanks", "@", "Nike", "!"], [True, False, False, False], ["O", "O", "B-ORG", "O"]),
    (["the", "#", "NewYork", "trip"], [True, False, True, False], ["O", "O", "B-LOC", "O"]),
    (["by", "Nike", "/adidas"], [True, False, False], ["O", "B-ORG", "O"]),
    (["in", "Rio"], [True, False], ["O", "B-LOC"]),
]


@pytest.fixture
def split_posts():
    vocab = spacy.blank("en").vocab
    return [Doc(vocab, words=w, spaces=s, ents=tags) for w, s, tags in SPLIT]


@pytest.fixture
def ruler():
    nlp = spacy.blank("en")
    patterns = {"Nike": "ORG", "@Nike": "ORG", "NewYork": "LOC", "Rio": "LOC"}
    nlp.add_pipe("entity_ruler").add_patterns(
        [{"label": label, "pattern": [{"ORTH": word}]} for word, label in patterns.items()]
    )
    return nlp


def test_scores_equal_those_of_the_pipeline_on_the_text(ruler, split_posts):
    scores = evaluate(ruler, split_posts)
    by_hand = score_entities(Example(ruler(doc.text), doc) for doc in split_posts)
    assert {name: scores[name] for name in by_hand} == by_hand
    # The entity `@Nike` differs from the gold span `Nike` in its start.
    assert (scores["ents_p"], scores["ents_r"]) == (0.75, 0.75)
    assert (scores["tokenization"], scores["spans"]) == ("pipeline", 4)
    assert scores["misaligned_spans"] == 1
    for example in predict(ruler, split_posts).examples:
        expected = [token.text for token in ruler.make_doc(example.reference.text)]
        assert [token.text for token in example.predicted] == expected


def test_the_pipeline_runs_on_gold_tokens_on_request(ruler, split_posts):
    scores = evaluate(ruler, split_posts, tokens="gold")
    assert scores["ents_f"] == 1
    assert (scores["tokenization"], scores["misaligned_spans"]) == ("gold", 0)


def test_words_without_text_are_gold_tokens_or_joined_on_request(ruler):
    words = ["thanks", "@", "Nike", "in", "Rio", "!"]
    tags = ["O", "O", "B-ORG", "O", "B-LOC", "O"]
    doc = Doc(ruler.vocab, words=words, ents=tags)
    doc._.image = "a.jpg"
    assert doc.has_unknown_spaces
    scores = evaluate(ruler, [doc])
    assert (scores["tokenization"], scores["ents_f"], scores["misaligned_spans"]) == ("gold", 1, 0)
    [example] = predict(ruler, [doc], tokens="pipeline").examples
    assert example.predicted.text == "thanks @Nike in Rio!"
    assert example.predicted._.image == "a.jpg"
    scores = evaluate(ruler, [doc], tokens="pipeline")
    assert (scores["tokenization"], scores["misaligned_spans"]) == ("pipeline", 1)
    # `Rio` is found at its characters; `@Nike` is not the gold span `Nike`.
    assert (scores["ents_p"], scores["ents_r"]) == (0.5, 0.5)


def test_empty_posts_are_left_out_and_scores_are_json_serializable(nlp, posts):
    assert json.loads(json.dumps(evaluate(nlp, [Doc(nlp.vocab), *posts])))["posts"] == 4
    scores = evaluate(nlp, [Doc(nlp.vocab)])
    assert scores["posts"] == 0 and scores["ents_f"] is None


def test_a_pipeline_that_sets_no_image_status_has_no_counts(posts):
    assert evaluate(spacy.blank("en"), posts)["image_status"] == {}


def test_too_few_images_to_shuffle_raise(nlp, posts):
    with pytest.raises(ShuffleError):
        evaluate(nlp, posts[2:], images="shuffled")


def test_image_status_is_counted_without_reasons(nlp):
    docs = [Doc(nlp.vocab) for _ in range(5)]
    statuses = ["used", "used 2 of 3: no such file", "unreadable: a", "unreadable: b", None]
    for doc, status in zip(docs, statuses, strict=True):
        doc._.image_status = status
    assert count_status(docs) == {"unreadable": 2, "used": 1, "used in part": 1}
