from __future__ import annotations

import json

import numpy as np
import pytest

from spacy_mner.corpus.jsonl import parse_jsonl
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.corpus.record import doc_to_record

from .strategies import NLP, doc_of, tags_of, words_of

# As exported by Prodigy's `db-out`.
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
    """Return the posts and problems of the task with changes."""
    line = json.dumps({**TASK, **changes})
    context = ReadContext(NLP)
    return list(parse_jsonl([line], context)), [problem.reason for problem in context.problems]


def test_a_prodigy_task_is_parsed():
    [post], problems = read()
    assert post.text == TASK["text"]
    assert words_of(post) == ["Bye", "🎸", "Apple", "!"]
    assert tags_of(post) == ["O", "O", "B-ORG", "O"]
    assert problems == []


def test_entities_are_read_if_there_are_no_spans():
    found = [{"start": 0, "end": 3, "label": "PER", "text": "Bye", "score": 0.9}]
    [post], problems = read(spans=None, entities=found)
    assert tags_of(post) == ["B-PER", "O", "O", "O"] and not problems
    [post], _ = read(entities=found)
    assert tags_of(post) == ["O", "O", "B-ORG", "O"]
    [post], _ = read(spans=None, entities=None)
    assert not post.has_annotation("ENT_IOB")


def test_records_have_the_documented_keys_of_prodigy():
    [post], _ = read()
    record = doc_to_record(post)
    for token, expected in zip(record["tokens"], TASK["tokens"], strict=True):
        assert token == {key: value for key, value in expected.items() if key != "disabled"}
    for key in ("text", "spans", "answer", "_view_id"):
        assert record[key] == TASK[key]


def test_an_unannotated_post_is_an_unanswered_task():
    record = doc_to_record(doc_of("a"))
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
def test_data_uris_have_the_media_type_of_the_image(content, start):
    record = doc_to_record(doc_of("a", image=content))
    assert record["image"].startswith(start)


def test_objects_are_written_as_labels_or_mappings():
    full = {"label": "dog", "score": np.float32(0.5), "box": (0, 0, 1, 1), "area": object()}
    doc = doc_of("a", image_objects=("cat", {"label": "ox"}, full))
    record = doc_to_record(doc)
    assert json.loads(json.dumps(record["image_objects"])) == [
        *("cat", "ox"),
        {"label": "dog", "score": 0.5, "box": [0, 0, 1, 1]},
    ]
    [post], problems = read(image_objects=record["image_objects"])
    assert post._.image_objects == record["image_objects"] and not problems
    assert "image_objects" not in doc_to_record(doc_of("a"))


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_a_rejected_task_is_left_out_and_reported(answer):
    assert read(answer=answer) == ([], [f'the annotator\'s answer is "{answer}"; line left out'])


def test_annotation_outside_an_accepted_span_is_missing():
    [post], [problem] = read(_view_id="ner")
    assert tags_of(post) == ["", "", "B-ORG", ""]
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
def test_unsupported_annotation_is_reported(changes, what):
    [post], problems = read(**changes)
    assert tags_of(post) == ["O", "O", "B-ORG", "O"]
    assert problems == [f"{what}: left out"]


def test_image_regions_are_reported_and_text_spans_kept():
    region = {"label": "CAR", "type": "rect", "points": [[0, 0], [0, 9], [9, 9], [9, 0]]}
    [post], problems = read(spans=[*TASK["spans"], region])
    assert tags_of(post) == ["O", "O", "B-ORG", "O"]
    assert problems == ["regions of the image: left out"]
    [post], problems = read(spans=[region])
    assert tags_of(post) == [""] * 4
    assert problems == ["regions of the image: left out"]
