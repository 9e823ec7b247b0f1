from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spacy_mner.corpus.jsonl import parse_jsonl
from spacy_mner.corpus.posts import ReadContext, missing_tokens
from spacy_mner.corpus.record import doc_to_record

from .strategies import NLP, annotated_docs, content, doc_of, entities_of, id_of, words_of


def parse(*records, rename=None):
    """Return the posts and problems of records, or of lines."""
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    context = ReadContext(NLP, rename or {})
    return list(parse_jsonl(lines, context)), context.problems


def span(start, end, label="PER"):
    return {"start": start, "end": end, "label": label}


def test_messages_abbreviate_long_text():
    text = "a" * 10_000
    tokens = [{"start": 0, "end": 10_000}]
    records = [
        {"text": text, "tokens": tokens, "spans": [span(1, 10_000)]},
        {"text": text, "tokens": [{"start": 0, "end": 9, "text": text}]},
        {"text": text, "spans": [{"start": text}]},
    ]
    _, problems = parse(*records)
    assert [problem.line for problem in problems] == [1, 2, 3]
    assert all(len(problem.reason) < 200 for problem in problems)


def test_a_line_is_parsed_to_a_post():
    text = "Okay duke dumont 🎸"
    [post], problems = parse({"id": 7, "text": text, "image": "snap.jpg", "spans": [span(5, 16)]})
    assert (post.text, id_of(post), post._.image) == (text, "7", "snap.jpg")
    assert entities_of(post) == [("duke dumont", "PER")]
    assert problems == []


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (None, None),
        ("", None),
        ([], None),
        (["2.jpg", "1.jpg"], ["2.jpg", "1.jpg"]),
        ("data:image/png;base64," + base64.b64encode(b"\x89PNG").decode(), b"\x89PNG"),
    ],
)
def test_images_are_parsed(image, expected):
    [post], _ = parse({"text": "a", "image": image})
    assert post._.image == expected


def test_missing_spans_are_missing_annotation_and_empty_spans_are_not():
    (bare, empty), _ = parse({"text": "a"}, {"text": "a", "spans": []})
    assert not bare.has_annotation("ENT_IOB")
    assert empty.has_annotation("ENT_IOB")


@pytest.mark.parametrize(
    ("text", "spans", "expected", "reason"),
    [
        ("#NBAawards tonight", [span(1, 4, "ORG")], [("NBA", "ORG")], None),
        ("AB", [span(0, 1), span(1, 2)], [("A", "PER"), ("B", "PER")], None),
        ("a", [span(0, 1, "OTHER")], [("a", "MISC")], None),
        ("in Paris now", [span(2, 9, "LOC")], [("Paris", "LOC")], "white space"),
        (
            "New York Times",
            [span(0, 8, "LOC"), span(0, 14, "ORG")],
            [("New York Times", "ORG")],
            "'New York' (LOC) overlaps",
        ),
    ],
    ids=["inside a token", "adjacent", "renamed", "white space", "overlapping"],
)
def test_spans_are_parsed_and_repairs_reported(text, spans, expected, reason):
    [post], problems = parse({"text": text, "spans": spans}, rename={"OTHER": "MISC"})
    assert entities_of(post) == expected
    assert post.text == text
    assert [reason in problem.reason for problem in problems] == [True] * (reason is not None)


def test_gold_tokens_are_never_split_and_the_span_is_reported():
    tokens = [{"text": "#NBAawards", "start": 0, "end": 10}, {"text": "x", "start": 11, "end": 12}]
    [post], [problem] = parse({"text": "#NBAawards x", "tokens": tokens, "spans": [span(1, 4)]})
    assert words_of(post) == ["#NBAawards", "x"]
    assert missing_tokens(post) == [0]
    assert problem.line == 1 and "NBA" in problem.reason


def test_text_between_gold_tokens_becomes_tokens():
    tokens = [{"text": "don't", "start": 0, "end": 5}, {"text": "d", "start": 11, "end": 12}]
    [post], _ = parse({"text": "don't  b c d", "tokens": tokens})
    assert words_of(post)[0] == "don't" and words_of(post)[-1] == "d"
    assert post.text == "don't  b c d"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", "left out"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "left out"),
        ({"text": ""}, "no text"),
        ({"image": "1.jpg"}, 'no "text"'),
        ({"text": "a", "answer": "reject"}, "reject"),
        ({"text": "a", "spans": [span(0, 2)]}, "outside the text"),
        ({"text": "a", "spans": [span(-1, 1)]}, "outside the text"),
        ({"text": "a", "spans": [span(0, 0)]}, "0–0 is empty"),
        ({"text": "a", "spans": [span("0", 1)]}, "integer"),
        ({"text": "a", "spans": [{"start": 0, "end": 1}]}, "without a label"),
        ({"text": "a", "spans": ["PER"]}, "strings"),
        ({"text": "a", "spans": {}}, "not a list"),
        ({"text": "a", "image": 3}, "neither a reference"),
        ({"text": "a", "image": "data:image/png,xx"}, "base64"),
        ({"text": "a", "image": "data:;base64,x"}, "damaged"),
        ({"text": "a", "image_text": ["a cat"]}, '"image_text" is not a string'),
        ({"text": "a", "image_features": [[[1]]]}, "image_features"),
        ({"text": "a", "image_features": ["x"]}, "image_features"),
        ({"text": "a", "image_features": [[1], [1, 2]]}, "image_features"),
        ({"text": "a", "image_features": [float("nan")]}, "finite"),
        ({"text": "a", "image_objects": "cat"}, "invalid image_objects"),
        ({"text": "a", "image_objects": [{"label": "cat", "score": "x"}]}, "score of object 1"),
        ({"text": "ab", "tokens": [{"text": "b", "start": 0, "end": 1}]}, "covers"),
        ({"text": "ab", "tokens": [span(0, 2), span(1, 2)]}, "overlaps"),
        ('{"text": "\\ud83c"}', "ud83c is half of a character"),
        ('{"text": "a", "spans": [], "spans": [{}]}', 'the key "spans" occurs twice'),
    ],
)
def test_an_invalid_line_is_reported_and_the_others_are_read(record, reason):
    posts, [problem] = parse({"text": "before"}, record, {"text": "after"})
    assert [words_of(post) for post in posts] == [["before"], ["after"]]
    assert problem.line == 2
    assert reason in problem.reason


def test_invalid_json_is_located_by_its_line_and_column():
    _, [problem] = parse({"text": "before"}, '{"text": "a" "b"}')
    assert (problem.line, problem.reason) == (
        2,
        "not JSON (Expecting ',' delimiter: column 14); line left out",
    )


def test_a_span_without_a_label_is_shown_with_its_keys_that_are_not_read():
    span = {"start": 0, "end": 1, "lable": "PER"}
    _, [problem] = parse({"text": "a", "spans": [span]})
    assert str(span) in problem.reason and "not read: 'lable'" in problem.reason


@given(annotated_docs())
def test_a_doc_is_restored_from_its_record(doc):
    [post], problems = parse(doc_to_record(doc))
    assert problems == []
    assert content(post) == content(doc)


def test_lines_are_parsed_lazily():
    lines = (json.dumps({"text": str(number)}) for number in itertools.count())
    posts = parse_jsonl(lines, ReadContext(NLP))
    assert [words_of(post) for post in itertools.islice(posts, 2)] == [["0"], ["1"]]


def test_text_of_unknown_spaces_has_no_trailing_space():
    assert doc_to_record(doc_of("a", "b"))["text"] == "a b"


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)))))
def test_any_text_is_parsed_or_reported(lines):
    posts, problems = parse(*lines)
    blank = sum(not line.strip() for line in lines)
    assert len(posts) + len({problem.line for problem in problems}) + blank == len(lines)


SPAN_KEYS = ["start", "end", "label", "text", "points", "score", "annotations", "hashtags"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(SPAN_KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)
records = st.fixed_dictionaries(
    {"text": st.text(max_size=5)},
    optional=dict.fromkeys(
        (
            *("id", "image", "image_text", "spans", "tokens", "missing", "image_features"),
            *("image_objects", "answer", "_view_id", "relations", "accept", "prediction"),
            *(
                "ents",
                "entities",
                "label",
                "labels",
                "annotation",
                "annotations",
                "ner",
                "ner_tags",
            ),
            *("tags", "words", "tokenized_text", "data", "image_path", "cats", "paragraphs", "x"),
        ),
        json_values,
    ),
)


@given(records)
@example({"text": "", "data": {"start": None, "text": "0"}})
def test_any_record_is_parsed_or_reported(record):
    posts, problems = parse(json.dumps(record))
    for post in posts:
        assert post.text == record["text"]
    assert posts or problems
