from __future__ import annotations

import json

import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.evaluation.evaluate import count_status, evaluate
from spacy_mner.evaluation.image_ablation import ShuffleError

from .standin import make_pipeline, make_post

POSTS = [("ORG", "ORG.jpg"), ("ANIMAL", "ANIMAL.jpg"), ("ORG", None), (None, None)]


@pytest.fixture
def nlp():
    return make_pipeline()


@pytest.fixture
def posts(nlp):
    return [make_post(nlp.vocab, label, image) for label, image in POSTS]


def test_scores_are_those_of_what_the_pipeline_finds(nlp, posts):
    scores = evaluate(nlp, posts)
    assert scores["ents_p"] == 1
    assert scores["ents_r"] == pytest.approx(2 / 3)
    assert scores["ents_per_type"]["ANIMAL"]["f"] == 1
    assert (scores["posts"], scores["posts_with_image"], scores["tokens"]) == (4, 2, 12)
    assert scores["image_status"] == {"used": 2, "absent": 2}
    assert scores["words_per_second"] > 0


def test_without_images_the_pipeline_finds_nothing(nlp, posts):
    scores = evaluate(nlp, posts, images="off")
    assert scores["ents_f"] == 0
    assert scores["image_status"] == {"absent": 4}


def test_with_the_images_of_others_spans_are_right_and_types_wrong(nlp, posts):
    scores = evaluate(nlp, posts, images="shuffled", seed=3)
    assert scores["ents_f"] == 0
    assert scores["segmentation_p"] == 1
    assert (scores["images"], scores["seed"]) == ("shuffled", 3)


def test_the_posts_stay_as_they_are(nlp, posts):
    before = [doc.to_bytes() for doc in posts]
    evaluate(nlp, posts, images="shuffled")
    assert [doc.to_bytes() for doc in posts] == before


def test_gold_tokens_are_not_tokenized_anew(nlp, posts):
    assert len(nlp.make_doc(posts[0].text)) != len(posts[0])
    assert evaluate(nlp, posts[:2])["ents_f"] == 1


def test_empty_posts_are_left_out(nlp, posts):
    assert evaluate(nlp, [Doc(nlp.vocab), *posts])["posts"] == 4


def test_no_posts_have_no_scores(nlp):
    scores = evaluate(nlp, [])
    assert scores["posts"] == 0 and scores["ents_f"] is None


def test_scores_are_json(nlp, posts):
    assert json.loads(json.dumps(evaluate(nlp, posts)))["posts"] == 4


def test_a_pipeline_that_says_nothing_of_images_is_evaluated_all_the_same(posts):
    assert evaluate(spacy.blank("en"), posts)["image_status"] == {}


def test_impossible_shuffling_is_refused(nlp, posts):
    with pytest.raises(ShuffleError):
        evaluate(nlp, posts[2:], images="shuffled")


def test_status_is_counted_without_its_reasons(nlp):
    docs = [Doc(nlp.vocab) for _ in range(5)]
    statuses = ["used", "used 2 of 3: no such file", "unreadable: a", "unreadable: b", None]
    for doc, status in zip(docs, statuses, strict=True):
        doc._.image_status = status
    assert count_status(docs) == {"unreadable": 2, "used": 1, "used in part": 1}
