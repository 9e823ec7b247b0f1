from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_mner.corpus.json_files import parse_items, read_items
from spacy_mner.corpus.labelstudio import write_tasks
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.errors import CorpusError

from .strategies import NLP, annotated_docs, content, doc_of, entities_of, id_of, tags_of, words_of

TEXT = "💩 Duke Dumont in Ibiza"


def region(start, end, *labels, text=None, to_name="text"):
    covered = TEXT[start:end] if text is None else text
    value = {"start": start, "end": end, "text": covered, "labels": list(labels)}
    return {
        "id": "x",
        "from_name": "label",
        "to_name": to_name,
        "type": "labels",
        "origin": "manual",
        "value": value,
    }


def annotation(*regions, **others):
    return {
        "id": 7,
        "completed_by": 1,
        "result": list(regions),
        "was_canceled": False,
        "ground_truth": False,
        "lead_time": 8.4,
        **others,
    }


# As exported as "JSON".
TASK = {
    "id": 42,
    "annotations": [
        annotation(
            region(2, 13, "PER"),
            region(17, 22, "LOC"),
        )
    ],
    "file_upload": "0c2b1a6e-posts.json",
    "drafts": [],
    "predictions": [],
    "data": {"text": TEXT, "image": "/data/local-files/?d=images/day%201/1.jpg"},
    "meta": {},
    "inner_id": 1,
    "total_annotations": 1,
    "canceled_annotations": 0,
    "project": 3,
}


def parse(*tasks, rename=None):
    """Return the posts and problems of tasks."""
    context = ReadContext(NLP, rename or {})
    return list(parse_items(tasks, context)), context.problems


def reasons(problems):
    return [problem.reason for problem in problems]


def with_result(*regions):
    return {**TASK, "annotations": [annotation(*regions)]}


def with_data(**data):
    return {**TASK, "data": {"text": TEXT, **data}}


def test_an_exported_task_is_parsed():
    [post], problems = parse(TASK)
    assert post.text == TEXT
    assert entities_of(post) == [("Duke Dumont", "PER"), ("Ibiza", "LOC")]
    assert (id_of(post), post._.image) == ("42", "images/day 1/1.jpg")
    assert problems == []


def test_utf_16_offsets_are_detected():
    old = with_result(region(3, 14, "PER", text="Duke Dumont"), region(18, 23, "LOC", text="Ibiza"))
    [post], problems = parse(old)
    assert entities_of(post) == [("Duke Dumont", "PER"), ("Ibiza", "LOC")]
    assert problems == []


def test_a_task_with_a_mismatched_span_is_left_out():
    [_], [problem] = parse(TASK, with_result(region(2, 6, "PER", text="Duck")))
    assert problem.line == 2
    assert problem.reason == "span 2–6 has the text 'Duck', but covers 'Duke'; task left out"


def test_json_min_is_parsed_alike():
    flat = {
        "text": TEXT,
        "image": TASK["data"]["image"],
        "id": 42,
        "label": [one["value"] for one in TASK["annotations"][0]["result"]],
        "annotator": 1,
        "annotation_id": 7,
        "lead_time": 8.4,
    }
    [post], problems = parse(flat)
    assert content(post) == content(parse(TASK)[0][0])
    assert problems == []
    assert parse({**flat, "was_cancelled": True})[0] == []
    [post], [problem] = parse(flat, {**flat, "annotation_id": 8})
    assert problem.line == 2 and "another annotation of task 42" in problem.reason


@pytest.mark.parametrize(
    ("unannotated", "empty"),
    [
        ({**TASK, "annotations": []}, with_result()),
        ({"text": "a"}, {"text": "b", "id": 1, "annotation_id": 2}),
    ],
    ids=["JSON", "JSON-MIN"],
)
def test_no_annotation_is_missing_annotation_but_no_regions_are_not(unannotated, empty):
    docs, _ = parse(unannotated, empty)
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [False, True]
    assert docs[1].ents == ()


@pytest.mark.parametrize(
    ("annotations", "expected", "reason"),
    [
        (
            [
                annotation(was_canceled=True),
                annotation(region(2, 6, "PER")),
                annotation(region(17, 22, "LOC")),
            ],
            [[("Duke", "PER")]],
            "2 annotations; the first was used",
        ),
        (
            [annotation(), annotation(region(17, 22, "LOC"), ground_truth=True)],
            [[("Ibiza", "LOC")]],
            "2 annotations; the ground truth was used",
        ),
        ([annotation(was_canceled=True)], [], "skipped by all annotators; task left out"),
        ([annotation(was_cancelled=True)], [], "skipped by all annotators; task left out"),
        ([annotation(skipped=True)], [], "skipped by all annotators; task left out"),
    ],
    ids=["first", "ground truth", "canceled", "cancelled", "skipped"],
)
def test_one_of_several_annotations_is_used(annotations, expected, reason):
    posts, problems = parse({**TASK, "annotations": annotations})
    assert [entities_of(post) for post in posts] == expected
    assert reasons(problems) == [reason]


def test_regions_that_are_not_labeled_text_are_counted_and_reported():
    others = [
        {"type": "choices", "to_name": "text", "value": {"choices": ["good"]}},
        {"type": "rectanglelabels", "to_name": "image", "value": {"x": 1, "labels": ["CAR"]}},
        {"type": "rectanglelabels", "to_name": "image", "value": {"x": 2, "labels": ["CAR"]}},
        {"type": "labels", "to_name": "image", "value": {"x": 2, "labels": ["CAR"]}},
        {"type": "relation", "from_id": "x", "to_id": "y", "direction": "right"},
        region(0, 1),
    ]
    task = with_result(region(2, 6, "PER"), *others)
    [post], [problem] = parse({**task, "predictions": [annotation(region(17, 22, "LOC"))]})
    assert entities_of(post) == [("Duke", "PER")]
    assert problem.reason == (
        "1 × choices, 1 × labels of something other than text, 1 × predictions, "
        "2 × rectanglelabels, 1 × region without a label, 1 × relation: left out; "
        "tokens outside of the other spans count as not annotated"
    )


HTML = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 2, "endOffset": 6}


@pytest.mark.parametrize(
    "other",
    [
        {"type": "hypertextlabels", "value": {**HTML, "hypertextlabels": ["PER"]}},
        {"type": "labels", "value": {**HTML, "labels": ["PER"]}},
        {"type": "paragraphlabels", "value": {"start": "0", "end": "0", "paragraphlabels": ["X"]}},
        region(2, 6),
    ],
)
def test_annotation_of_text_that_is_not_read_is_missing(other):
    [post], [problem] = parse(with_result(region(17, 22, "LOC"), other))
    assert tags_of(post) == ["", "", "", "", "B-LOC"]
    assert problem.reason.endswith("count as not annotated")
    [post], _ = parse(with_result(other))
    assert set(tags_of(post)) == {""}


def test_labels_of_a_second_text_are_reported():
    task = with_result(region(2, 6, "ORG", to_name="ocr"), region(2, 6, "PER"))
    [post], problems = parse(task)
    assert entities_of(post) == [("Duke", "PER")]
    assert reasons(problems) == ["1 × labels of another text: left out"]


def test_spans_are_repaired_as_in_jsonl():
    [post], problems = parse(with_result(region(2, 5, "PER", "ORG"), region(13, 16, "LOC")))
    assert entities_of(post) == [("Duk", "PER"), ("in", "LOC")]
    assert "white space" in problems[0].reason and "(ORG) overlaps" in problems[1].reason


def test_labels_are_renamed():
    assert entities_of(parse(TASK, rename={"PER": "P"})[0][0])[0] == ("Duke Dumont", "P")


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("/data/local-files/?d=1.jpg", "1.jpg"),
        ("/data/local-files/?d=a/%C3%A4%20b.jpg", "a/ä b.jpg"),
        ("http://localhost:8080/data/local-files/?d=1.jpg", "1.jpg"),
        ("/data/upload/3/0c2b1a6e-1.jpg", "3/0c2b1a6e-1.jpg"),
        ("/data/local-files/?x=1", "/data/local-files/?x=1"),
        ("/home/anna/data/upload/1.jpg", "/home/anna/data/upload/1.jpg"),
        ("https://example.org/1.jpg", "https://example.org/1.jpg"),
        ("1.jpg", "1.jpg"),
        (["/data/local-files/?d=2.jpg", "1.jpg"], ["2.jpg", "1.jpg"]),
        ("", None),
        (None, None),
    ],
)
def test_urls_of_label_studio_become_paths(image, reference):
    assert parse(with_data(image=image))[0][0]._.image == reference


def test_images_is_read_as_a_list_of_images():
    assert parse(with_data(images=["1.jpg", "2.jpg"]))[0][0]._.image == ["1.jpg", "2.jpg"]
    [post], [*_, problem] = parse(with_data(image="0.jpg", images=["1.jpg", "2.jpg"]))
    assert post._.image == "0.jpg"
    assert problem.reason == "1 × images beside image: left out"


def test_the_id_of_the_data_precedes_that_of_the_task():
    assert id_of(parse(with_data(id="17_06_1"))[0][0]) == "17_06_1"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (3, "not a JSON object"),
        ({**TASK, "data": {"body": "a"}}, 'no "text"'),
        ({**TASK, "data": "a"}, "without a start"),
        (with_data() | {"annotations": {"result": []}}, "not a list of objects"),
        (with_data() | {"annotations": [3]}, "not a list of objects"),
        (with_data() | {"annotations": [{"result": None}]}, "not a list"),
        (with_result(region(2, 99, "PER")), "outside the text"),
        (with_result(region(2, 6, 5)), "no label"),
        ({**TASK, "data": {"text": ""}, "annotations": []}, "no text"),
        (with_data(image=3), "neither a reference"),
        (with_data(text="\ud83c"), "surrogates"),
        (with_data(ents=[[2, 6, "PER"]]) | {"annotations": []}, '"ents" looks like'),
    ],
)
def test_an_invalid_task_is_reported_and_the_others_are_read(task, reason):
    posts, problems = parse({"text": "before"}, task, {"text": "after"})
    assert [words_of(post) for post in posts] == [["before"], ["after"]]
    assert problems[-1].line == 2
    assert reason in problems[-1].reason and problems[-1].reason.endswith("task left out")


def written(docs, tmp_path, images_root=None):
    write_tasks(docs, tmp_path / "out.json", images_root)
    return json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))


def test_written_tasks_can_be_imported(tmp_path):
    docs = [parse(TASK)[0][0], doc_of("a")]
    annotated, bare = written(docs, tmp_path, Path("/home/anna/images"))
    assert annotated["data"]["text"] == TEXT
    assert annotated["data"]["image"].startswith("/data/local-files/?d=images/")
    [given] = annotated["annotations"]
    for one, expected in zip(given["result"], TASK["annotations"][0]["result"], strict=True):
        for key in ("type", "from_name", "to_name", "value"):
            assert one[key] == expected[key]
    assert len({one["id"] for one in given["result"]}) == 2
    # A project with <Image value="$image"/> rejects a task in which this key is missing or null.
    assert bare["data"]["image"] == ""
    assert "annotations" not in bare


def test_urls_and_data_uris_are_written_unchanged(tmp_path):
    images = ["https://example.org/1.jpg", b"GIF8"]
    tasks = written([doc_of("a", image=one) for one in images], tmp_path)
    assert [task["data"]["image"] for task in tasks] == [
        images[0],
        "data:image/gif;base64,R0lGOA==",
    ]


def test_keys_added_by_label_studio_are_ignored(tmp_path):
    doc = doc_of("a", spaces=[False], post_id="7", image="1.jpg", entities=[(0, 1, "PER")])
    [task] = written([doc], tmp_path, tmp_path)
    exported = {**TASK, **task, "id": 99}
    [post], problems = parse(exported)
    assert content(post) == content(doc)
    assert problems == []


@settings(deadline=None)  # writes to disk
@given(doc=annotated_docs())
def test_a_doc_is_restored_from_its_task(doc, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.json"
    write_tasks([doc], path)
    [post], problems = parse(*read_items(path))
    assert content(post) == content(doc)
    assert all("ambiguous offsets" in problem.reason for problem in problems)


def test_a_file_can_be_a_single_task(tmp_path):
    (tmp_path / "42.json").write_text(json.dumps(TASK), encoding="utf-8-sig")
    assert read_items(tmp_path / "42.json") == [TASK]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "3", '"a"', b"[\xff]"])
def test_a_file_without_tasks_raises(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CorpusError, match=r"x\.json"):
        read_items(path)


TASK_KEYS = ["id", "data", "annotations", "result", "predictions", "drafts", "was_canceled"]
DATA_KEYS = ["text", "image", "spacy_mner", "tokens", "missing"]
REGION_KEYS = ["type", "to_name", "value", "start", "end", "labels"]
keys = st.sampled_from([*TASK_KEYS, *DATA_KEYS, *REGION_KEYS])
scalars = (
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.text(max_size=3)
) | st.sampled_from(["labels", "text", "🎸 a"])
any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
regions = st.fixed_dictionaries(
    {"type": st.just("labels") | any_json, "value": any_json},
    optional={"to_name": any_json},
)
values = st.fixed_dictionaries(
    {"start": st.integers(-1, 4), "end": st.integers(-1, 4), "labels": st.lists(scalars)},
    optional={"text": scalars},
)
likely_tasks = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"text": st.just("🎸 a") | any_json},
            optional={"image": any_json, "spacy_mner": any_json, "id": any_json},
        )
    },
    optional={
        "annotations": st.lists(
            st.fixed_dictionaries(
                {
                    "result": st.lists(
                        regions
                        | st.fixed_dictionaries({"type": st.just("labels"), "value": values})
                        | any_json,
                        max_size=3,
                    )
                }
            ),
            max_size=2,
        )
        | any_json,
        "predictions": any_json,
        "id": any_json,
    },
)


@given(st.lists(any_json | likely_tasks, max_size=4))
def test_any_task_is_parsed_or_reported(tasks):
    posts, problems = parse(*tasks)
    assert len(posts) + len({problem.line for problem in problems}) >= len(tasks)
