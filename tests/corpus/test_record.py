from __future__ import annotations

import json

import numpy as np
import pytest

from spacy_mner.corpus.jsonl import parse_jsonl
from spacy_mner.corpus.posts import Post, ReadContext, make_doc
from spacy_mner.corpus.record import doc_to_record

from .made import NLP

# As Prodigy's `db-out` gives it.
TASK = {
    "text": "Bye 🎸 Apple!",
    "meta": {"source": "a blog"},
    "_input_hash": 1842734674,
    "_task_hash": 636683182,
    "_is_binary": False,
    "tokens": [
        {"text": "Bye", "start": 0, "end": 3, "id": 0, "ws": True},
        {"text": "🎸", "start": 4, "end": 5, "id": 1, "ws": True, "disabled": True},
        {"text": "Apple", "start": 6, "end": 11, "id": 2, "ws": False},
        {"text": "!", "start": 11, "end": 12, "id": 3, "ws": False},
    ],
    "_view_id": "ner_manual",
    "spans": [{"start": 6, "end": 11, "token_start": 2, "token_end": 2, "label": "ORG"}],
    "answer": "accept",
    "_timestamp": 1637167421,
    "_annotator_id": "2021-11-17_17-43-27",
    "_session_id": "2021-11-17_17-43-27",
}


def read(**changes):
    """The post and the problems of the task with changes."""
    line = json.dumps({**TASK, **changes})
    context = ReadContext(NLP)
    return list(parse_jsonl([line], context)), [problem.reason for problem in context.problems]


def tags(post):
    return [f"{t.ent_iob_}-{t.ent_type_}".strip("-") for t in make_doc(post, NLP.vocab)]


def test_a_task_of_prodigy_is_a_post():
    [post], problems = read()
    assert make_doc(post, NLP.vocab).text == TASK["text"]
    assert post.words == ["Bye", "🎸", "Apple", "!"]
    assert tags(post) == ["O", "O", "B-ORG", "O"]
    assert problems == []


def test_what_a_pipeline_found_is_read_where_nobody_has_annotated():
    found = [{"start": 0, "end": 3, "label": "PER", "text": "Bye", "score": 0.9}]
    [post], problems = read(spans=None, entities=found)
    assert tags(post) == ["B-PER", "O", "O", "O"] and not problems
    [post], _ = read(entities=found)
    assert tags(post) == ["O", "O", "B-ORG", "O"]
    [post], _ = read(spans=None, entities=None)
    assert post.entities is None


def test_what_is_written_has_the_keys_that_prodigy_documents():
    [post], _ = read()
    record = doc_to_record(make_doc(post, NLP.vocab))
    for token, expected in zip(record["tokens"], TASK["tokens"], strict=True):
        assert token == {key: value for key, value in expected.items() if key != "disabled"}
    for key in ("text", "spans", "answer", "_view_id"):
        assert record[key] == TASK[key]


def test_a_post_that_nobody_annotated_is_a_task_that_nobody_answered():
    record = doc_to_record(make_doc(Post(["a"]), NLP.vocab))
    assert not {"spans", "answer", "_view_id"} & set(record)


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (b"\xff\xd8\xff\xe0", "data:image/jpeg;base64,"),
        (b"\x89PNG\r\n\x1a\n", "data:image/png;base64,"),
        (b"GIF89a", "data:image/gif;base64,"),
        (b"BM", "data:;base64,"),
    ],
)
def test_an_image_inside_a_task_says_what_it_is_so_that_it_is_shown(content, start):
    record = doc_to_record(make_doc(Post(["a"], image=content), NLP.vocab))
    assert record["image"].startswith(start)


def test_objects_are_written_as_labels_and_as_mappings_with_what_is_known_of_them():
    full = {"label": "dog", "score": np.float32(0.5), "box": (0, 0, 1, 1), "area": object()}
    doc = make_doc(Post(["a"], image_objects=("cat", {"label": "ox"}, full)), NLP.vocab)
    record = doc_to_record(doc)
    assert json.loads(json.dumps(record["image_objects"])) == [
        *("cat", "ox"),
        {"label": "dog", "score": 0.5, "box": [0, 0, 1, 1]},
    ]
    [post], problems = read(image_objects=record["image_objects"])
    assert post.image_objects == record["image_objects"] and not problems
    assert "image_objects" not in doc_to_record(make_doc(Post(["a"]), NLP.vocab))


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_a_task_that_was_not_accepted_is_left_out_and_reported(answer):
    assert read(answer=answer) == ([], [f'the annotator\'s answer is "{answer}"; line left out'])


def test_a_yes_to_one_span_leaves_the_rest_of_the_post_unannotated():
    [post], [problem] = read(_view_id="ner")
    assert tags(post) == ["", "", "B-ORG", ""]
    assert "yes-or-no" in problem


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"relations": [{"head": 0, "child": 2, "label": "SUBJ"}]}, "relations"),
        ({"accept": ["good"], "options": [{"id": "good"}]}, "choices"),
        ({"label": "SPAM"}, "a label of the whole post"),
        ({"user_input": "nice"}, "free text"),
    ],
)
def test_annotation_that_a_post_cannot_hold_is_reported(changes, what):
    [post], problems = read(**changes)
    assert tags(post) == ["O", "O", "B-ORG", "O"]
    assert problems == [f"{what}: left out"]


def test_regions_of_the_image_are_reported_and_spans_of_the_text_kept():
    region = {"label": "CAR", "type": "rect", "points": [[0, 0], [0, 9], [9, 9], [9, 0]]}
    [post], problems = read(spans=[*TASK["spans"], region])
    assert tags(post) == ["O", "O", "B-ORG", "O"]
    assert problems == ["regions of the image: left out"]
    [post], problems = read(spans=[region])
    assert tags(post) == [""] * 4
    assert problems == ["regions of the image: left out"]
