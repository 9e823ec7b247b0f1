from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.jsonl import parse_jsonl, read_jsonl
from spacy_mner.corpus.posts import ReadContext
from spacy_mner.corpus.unread_annotation import METADATA
from spacy_mner.errors import CorpusError, UsageError

from .strategies import NLP, docs_of, entities_of, tags_of, words_of, write_jsonl

TEXT = "Mira lives in Oslo"
WORDS = TEXT.split()
SPANS = [[0, 4, "PER"], [14, 18, "LOC"]]
TAGS = ["B-PER", "O", "O", "B-LOC"]
NAMES = ["O", "B-PER", "I-PER", "B-LOC"]
TWEET = {
    "id": "1212",
    "text": TEXT,
    "attachments": {"media_keys": ["3_1"]},
    "context_annotations": [{"domain": {"id": "46", "name": "City"}, "entity": {"id": "7"}}],
    "created_at": "2020-01-01T00:00:00.000Z",
    "edit_history_tweet_ids": ["1212"],
    "edit_controls": {"edits_remaining": 5, "is_edit_eligible": True},
    "public_metrics": {"like_count": 1, "retweet_count": 2},
    "referenced_tweets": [{"type": "quoted", "id": "3"}],
    "entities": {
        "annotations": [
            {"start": 0, "end": 3, "probability": 0.9, "type": "Person", "normalized_text": "Mira"}
        ],
        "hashtags": [{"start": 0, "end": 4, "tag": "Mira"}],
        "mentions": [{"start": 0, "end": 4, "username": "mira", "id": "5"}],
        "urls": [{"start": 0, "end": 4, "url": "https://t.co/x", "media_key": "3_1"}],
    },
}


@pytest.fixture
def read(tmp_path):
    """Reads one record, and returns its posts and problems."""

    def read(record, **options):
        context = ReadContext(NLP, **options)
        docs = list(read_jsonl(write_jsonl(tmp_path / "x.jsonl", record), context))
        return docs, [problem.reason for problem in context.problems]

    return read


def objects(start="start", end="end", label="label", spans=SPANS, **others):
    return [{**others, start: s, end: e, label: x} for s, e, x in spans]


@pytest.mark.parametrize(
    "record",
    [
        {"text": TEXT, "label": SPANS},
        {"text": TEXT, "labels": SPANS},
        {"text": TEXT, "annotations": SPANS},
        {"data": TEXT, "label": SPANS},
        {"full_text": TEXT, "entities": SPANS},
        {"text": TEXT, "entities": objects("start_offset", "end_offset", id=1), "relations": []},
        {"text": TEXT, "ents": objects(), "title": None},
        {"text": TEXT, "ents": objects(), "spans": {"sc": objects(spans=SPANS[:1])}},
        {"text": TEXT, "ents": objects(), "spans": {"sc": []}},
        [TEXT, {"entities": SPANS}],
        [TEXT, {"entities": [[*span, "Q1"] for span in SPANS], "links": {}}],
        [TEXT, {"words": WORDS, "entities": ["U-PER", "O", "O", "U-LOC"]}],
        {"text": TEXT, "annotation": [[x, s, e] for s, e, x in SPANS], "tokens": WORDS},
        {"text": TEXT, "annotation": objects(score=0)},
        {"text": TEXT, "entities": objects(label="entity_group", score=0.9)},
        {"text": TEXT, "entities": objects("startOffset", "endOffset", "displayName")},
        {"text": TEXT, "entities": objects("BeginOffset", "EndOffset", "Type", Score=0.9)},
        {"text": TEXT, "entities": objects("offset", "length", "category", [[0, 4, "PER"]])
         + objects("offset", "length", "category", [[14, 4, "LOC"]])},
        {"text": TEXT, "labels": [[s, e, TEXT[s:e], x] for s, e, x in SPANS]},
        {"text": TEXT, "labels": [[TEXT[s:e], s, e, x] for s, e, x in SPANS]},
        {"text": TEXT, "entities": objects(label="type", entity="Mira")[:1] + objects()[1:]},
        {"text": TEXT, "spans": objects(spans=[[float(s), float(e), x] for s, e, x in SPANS])},
        {"text": TEXT, "spans": objects(), "label": [], "entities": []},
        {"text": TEXT, "spans": objects(label="labels", spans=[[s, e, [x]] for s, e, x in SPANS])},
        {"tokens": WORDS, "ner_tags": TAGS},
        {"tokens": WORDS, "tags": TAGS, "pos_tags": ["NNP", "VBZ", "IN", "NNP"]},
        {"tokens": WORDS, "labels": ["S-PER", "O", "O", "S-LOC"], "chunk_tags": ["B-NP"] * 4},
        {"tokens": WORDS, "ner": ["U-PER", "O", "O", "U-LOC"], "text": TEXT},
        {"words": WORDS, "tags": ["I-PER", "O", "O", "I-LOC"], "fine_ner_tags": [7, 0, 0, 9]},
        {"text": WORDS, "labels": TAGS},
        {"text": TEXT, "tokens": [{"start": 0, "end": 4}, {"start": 5, "end": 10},
                                  {"start": 11, "end": 13}, {"start": 14, "end": 18}],
         "ner_tags": TAGS},
        {"tokens": WORDS, "text": TEXT, "ner_tags": TAGS, "entities": objects(score=0.5)[:1]},
        {"tokens": WORDS, "text": TEXT, "ner_tags": TAGS, "entities": objects()},
        {"tokenized_text": WORDS, "ner": [[0, 0, "PER"], [3, 3, "LOC"]], "label": ["PER", "LOC"]},
        {"data": {"text": TEXT}, "annotations": [{"result": [
            {"type": "labels", "value": {"start": s, "end": e, "labels": [x]}} for s, e, x in SPANS
        ]}]},
        {"text": TEXT, "label": objects(label="labels", spans=[[s, e, [x]] for s, e, x in SPANS]),
         "annotation_id": 1},
    ],
    ids=str,
)  # fmt: skip
def test_annotation_of_other_tools_is_read(record, read):
    [post], problems = read(record)
    assert entities_of(post) == [("Mira", "PER"), ("Oslo", "LOC")]
    assert words_of(post) == WORDS
    assert problems == []


def test_integers_need_the_names_of_tags(read):
    record = {"tokens": WORDS, "ner_tags": [1, 0, 0, 3]}
    docs, [problem] = read(record)
    assert docs == [] and "--labels" in problem
    [post], problems = read(record, tag_names=NAMES)
    assert [text for text, _ in entities_of(post)] == ["Mira", "Oslo"] and not problems
    with pytest.raises(UsageError, match="2 names, but there is a tag 3"):
        read(record, tag_names=NAMES[:2])
    docs, [problem] = read({**record, "ner_tags": [1, 0, 0, -100]}, tag_names=NAMES)
    assert docs == [] and "negative" in problem


@pytest.mark.parametrize("tag_names", [None, NAMES])
@pytest.mark.parametrize("spans", [[[0, 4, 1]], objects(spans=[[0, 4, 1]])])
def test_integer_labels_of_spans_are_no_indices_of_tags(spans, tag_names, read):
    docs, [problem] = read({"text": TEXT, "label": spans}, tag_names=tag_names)
    assert docs == [] and "names of labels" in problem and "--" not in problem


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": TEXT, "gold": SPANS}, "jq -c '.spans = .gold'"),
        ({"text": TEXT, "spans": [], "my spans": SPANS}, """'.spans = .["my spans"]'"""),
        ({"text": TEXT, "gold": {"entities": SPANS}}, "'.spans = .gold.entities'"),
        ({"text": TEXT, "gold": objects("from", "to", "kind")}, "gold"),
        ({"text": TEXT, "gold": [{"label": "PER", "value": {"start": 0, "end": 4}}]}, "gold"),
        ({"text": TEXT, "job": {"annotations": {"entities": objects()}}}, "job"),
        ({"text": TEXT, "annotation": [{"label": ["PER"], "points": objects()}]}, "annotation"),
        ({"text": TEXT, "label": {"PER": {"Mira": [[0, 3]]}}}, "not a list"),
        ({"text": TEXT, "entities": {"PER": ["Mira"]}}, "not a list"),
        ({"text": TEXT, "entities": ["Mira"]}, "strings"),
        ({"text": TEXT, "label": [[0, 4, "Mira"]]}, "without a label"),
        ({"text": TEXT, "label": [["Mira", 0, 4]]}, "without a label"),
        ({"text": TEXT, "label": [[0, 3, "Mira", "PER"]]}, "unclear"),
        ({"text": TEXT, "spans": objects(spans=[["0", "4", "PER"]])}, "tonumber"),
        ({"text": TEXT, "label": json.dumps(objects())}, "'.label |= fromjson'"),
        ({"tokens": WORDS, "text": TEXT, "ner_tags": [True, False, False, True]}, "not a span"),
        ({"text": TEXT, "data": SPANS}, "'.spans = .data'"),
        ({"text": TEXT, "spans": {"sc": objects()}}, "not a list"),
        ({"text": TEXT, "annotations": [{"result": []}]}, "without a start"),
        ({"text": TEXT, "tags": "B-PER O O B-LOC"}, '.ner_tags = (.tags / " ")'),
        ({"text": TEXT, "mentions": objects(label="type")}, "'.spans = .mentions'"),
        ({"text": TEXT, "named_entities": {"PER": ["Mira"]}}, '"named_entities" looks like'),
        ({"text": TEXT, "namedEntities": ["Mira"]}, '"namedEntities" looks like'),
        ({"text": TEXT, "ent_list": [["Mira", "PER"]]}, '"ent_list" looks like'),
        ({"text": TEXT, "ner_spans": {"start": [0], "end": [4], "label": ["PER"]}}, "ner_spans"),
        ({"text": TEXT, "ner_ids": [1, 0, 0, 3]}, "ner_ids"),
        ({"text": TEXT, "ner_tags": TAGS}, 'no "tokens"'),
        ({"tokens": WORDS, "ner_tags": TAGS[:3]}, "3 tags for 4 tokens"),
        ({"tokens": WORDS, "ner_tags": []}, "0 tags for 4 tokens"),
        ({"tokens": WORDS, "my_tags": TAGS}, "'.ner_tags = .my_tags'"),
        ({"tokens": WORDS, "my_tags": [1, 0, 0, 3]}, "my_tags"),
        ({"tokens": WORDS, "labels": ["PER", "O", "O", "LOC"]}, "'PER' is not a tag"),
        ({"tokens": WORDS, "labels": ["PER", "-", "-", "LOC"]}, "labels"),
        ({"tokens": WORDS, "entities": objects()}, "characters or tokens"),
        ({"tokens": WORDS, "text": "Mira left Oslo", "ner_tags": TAGS}, "tokens and the text"),
        ({"tokens": [*WORDS, ""], "ner_tags": [*TAGS, "O"]}, "token 5 is empty"),
        ({"tokenized_text": WORDS, "ner": [[0, 4, "PER"]]}, "4 tokens"),
        ({"text": TEXT, "spans": objects(), "label": SPANS[:1]}, '"spans" and "label" differ'),
        ({"tokens": WORDS, "text": TEXT, "ner_tags": TAGS, "spans": objects(spans=SPANS[1:])},
         "differ"),
        ({"content": TEXT, "label": SPANS}, "jq -c '.text = .content'"),
        ({"fields": {"text": TEXT}, "responses": {"spans": SPANS}}, "'.text = .fields.text'"),
        ({"textSnippet": {"content": TEXT}, "annotations": SPANS}, ".textSnippet.content"),
        ({"title": "a b", "body": TEXT}, "jq -c '.text = .body'"),
        ({"tokens": [{"text": "Mira", "ner": "B-PER"}]}, 'no "text"'),
        ({"id": 1, "label": SPANS}, "rename the one with the text"),
        ({"Text": "Mira", "entities": [{"text": "Mira", "start": 0, "end": 4, "type": "PER"}]},
         "'.text = .Text'"),
        ({"id": 1, "entities": [{"text": "Mira", "type": "PER"}]}, "rename the one with the text"),
        ({"title": "a b c", "tweet": "Mira"}, "'.text = .tweet'"),
        ({"text": float("nan"), "spans": SPANS}, '"text" is nan, not a string'),
        ({"rasa": {"examples": [{"text": TEXT}]}}, "jq -c '.rasa.examples[]'"),
        ({"%TYPES": {}, "%FEATURE_STRUCTURES": [{"sofaString": TEXT}]}, "WebAnno TSV"),
        ({"data": [{"text": TEXT, "spans": []}], "meta": {}}, "jq -c '.data[]'"),
        ({"text": [TEXT, TEXT], "spans": [[], []]}, "table by columns"),
        ({"text": {"0": TEXT}, "spans": {"0": []}}, "table by columns"),
        ({"paragraphs": [{"raw": TEXT}]}, "spacy convert"),
        ({"data": {"text": TEXT, "ents": SPANS}}, '"ents" looks like'),
        ({"data": {"text": TEXT}, "label": SPANS}, '"label" looks like'),
        ([TEXT, SPANS], "not a JSON object"),
    ],
    ids=str,
)  # fmt: skip
def test_annotation_that_is_not_read_is_a_problem_and_the_file_is_refused(
    record, reason, read, tmp_path
):
    docs, [problem] = read(record)
    assert docs == [] and reason in problem and problem.endswith("line left out")
    with pytest.raises(CorpusError):
        convert(tmp_path / "x.jsonl", tmp_path / "out" / "x.spacy")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "is_refused"),
    [
        (["B-PER", "I-PER"], True),
        (["B-PER", "S-LOC"], True),
        (["I-LOC", "O"], True),
        (["MISC", "B-PER", "I-PER"], True),
        (["B-CELL", "PROTEIN"], False),
        (["E-MAIL", "S-BAHN"], False),
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["label", "entity"])
def test_spans_of_word_pieces_are_refused(labels, is_refused, key, read):
    spans = [[start, end, x] for (start, end, _), x in zip(SPANS, labels, strict=False)]
    spans += [[5, 10, x] for x in labels[2:]]
    record = {"text": TEXT, "entities": objects(label=key, spans=spans)}
    if is_refused:
        with pytest.raises(CorpusError, match="simple"):
            read(record)
    else:
        assert [label for _, label in entities_of(read(record)[0][0])] == labels


POSITIONS = [
    ("start", "end"), ("begin", "end"), ("startIndex", "endIndex"), ("from", "to"),
    ("offset", "length"), ("char_start", "char_end"), ("startPos", "stopPos"),
]  # fmt: skip
keys = st.sampled_from(["spans", "ents", "label", "labels", "tags", "annotation", "entities"]) | (
    st.text(min_size=1).filter(lambda key: key not in METADATA and not key.startswith("_"))
)


@given(
    key=keys,
    names=st.sampled_from(POSITIONS),
    label=st.sampled_from(["label", "type", "category", "kind"]),
    is_object=st.booleans(),
    wrap=st.sampled_from([None, "value", "entities", "x"]),
    outer=st.sampled_from([None, "gold", "x"]),
)
def test_a_post_with_annotation_is_not_read_as_one_without(
    key, names, label, is_object, wrap, outer
):
    span = {names[0]: 0, names[1]: 4}
    item = {**({wrap: span} if wrap else span), label: "PER"} if is_object else [0, 4, "PER"]
    record = {"text": TEXT, **({outer: {key: [item]}} if outer else {key: [item]})}
    context = ReadContext(NLP)
    for post in parse_jsonl([json.dumps(record)], context):
        assert entities_of(post) == [("Mira", "PER")]
    assert context.problems or not outer


@pytest.mark.parametrize(
    "record",
    [
        TWEET,
        {"text": TEXT, "entities": {}},
        {"data": TWEET, "includes": {"tweets": [TWEET], "media": [{"type": "photo"}]}},
        {**TWEET, "referenced_tweets": [TWEET]},
        {
            "full_text": TEXT,
            "display_text_range": [0, 18],
            "entities": {"hashtags": [], "user_mentions": [{"id": 5, "indices": [0, 4]}]},
            "extended_entities": {"media": [{"id": 1, "indices": [3, 9], "type": "photo"}]},
            "user": {"entities": {"url": {"urls": [{"indices": [0, 23], "url": "x"}]}}},
        },
        {"text": TEXT, "meta": {"spans": SPANS}, "tags": ["funny", "cat"]},
        {"text": TEXT, "tags": [{"id": 3, "name": "cat"}], "scores": [[1, 2], [3, 4]]},
        {"text": TEXT, "polls": [{"position": 1, "label": "yes", "votes": 3}]},
        {"text": TEXT, "attention": [{"start": 0, "end": 4, "weights": {"words": 1.0}}]},
        {"text": TEXT, "spans": None, "label": None},
        {"tokens": WORDS},
        {"tokenized_text": WORDS, "labels": ["PER", "LOC"]},
        {"text": TEXT, "label": "funny"},
        {"text": TEXT, "labels": ["funny"]},
        {"text": TEXT, "cats": {"funny": 1.0}},
        {"text": TEXT, "prediction": SPANS, "annotation": None},
        {"text": TEXT, "image_tags": ["cat"], "owner": ["x"], "identity": {"a": 1}},
    ],
    ids=str,
)
def test_metadata_is_not_annotation(record, read):
    [post], problems = read(record)
    assert post.text.rstrip() == TEXT and not post.has_annotation("ENT_IOB")
    assert problems == []


def test_keys_of_posts_without_annotation_that_are_not_read_are_in_the_summary(tmp_path):
    records = [{"text": TEXT, "label": ["funny"]}, {"text": TEXT, "xml": TEXT, "image": "a.jpg"}]
    source = write_jsonl(tmp_path / "in.jsonl", *records)
    summary = convert(source, tmp_path / "out.spacy")
    assert (summary.unannotated, summary.unread_keys) == (2, ["label", "xml"])
    assert not summary.problems
    source = write_jsonl(tmp_path / "in.jsonl", {"text": TEXT, "spans": [], "x": 1})
    summary = convert(source, tmp_path / "out.spacy")
    assert (summary.unannotated, summary.unread_keys) == (0, [])


@pytest.mark.parametrize("key", ["spans", "ents", "entities", "annotations", "label", "labels"])
def test_an_empty_list_is_a_post_without_entities(key, read):
    [post], problems = read({"text": TEXT, key: []})
    assert post.has_annotation("ENT_IOB") and not post.ents and not problems


def test_fine_tags_beside_tags_without_entities_are_metadata(read):
    tags = {"ner_tags": ["O"] * 4, "fine_ner_tags": [0] * 4}
    [post], problems = read({"tokens": WORDS, **tags})
    assert post.has_annotation("ENT_IOB") and not post.ents and not problems


def test_tokens_of_a_text_keep_its_spaces(read):
    [post], _ = read({"text": "Mira's  cat", "tokens": ["Mira", "'s", "cat"]})
    assert post.text == "Mira's  cat" and words_of(post)[:2] == ["Mira", "'s"]
    [post], _ = read({"tokens": ["Mira", "'s", "cat"]})
    assert post.has_unknown_spaces


@pytest.mark.parametrize(
    ("item", "image"),
    [
        ({"image_path": "a.jpg"}, "a.jpg"),
        ({"image": None, "image_path": "a.jpg"}, "a.jpg"),
        ({"image": {"bytes": None, "path": "a.jpg"}}, "a.jpg"),
        ({"image": "/data/upload/a.jpg"}, "/data/upload/a.jpg"),
    ],
)
def test_the_image_is_read(item, image, read):
    assert read({"text": TEXT, **item})[0][0]._.image == image


def test_the_scheme_of_tags_is_that_of_the_whole_file(tmp_path):
    records = [
        {"tokens": ["Mira", "Tolvan", "sings"], "ner_tags": ["I-PER", "I-PER", "O"]},
        {"tokens": ["Oslo", "Rio"], "ner_tags": ["I-LOC", "B-LOC"]},
        {"tokens": ["bad"], "ner_tags": ["B_LOC"]},
    ]
    source = write_jsonl(tmp_path / "in.jsonl", *records)
    summary = convert(source, tmp_path / "out.spacy", Options(orphans="drop"))
    assert [tags_of(doc) for doc in docs_of(tmp_path / "out.spacy")] == [
        ["B-PER", "I-PER", "O"],
        ["B-LOC", "B-LOC"],
    ]
    assert (summary.tag_scheme, summary.incomplete_entities) == ("IOB1", 0)
    assert [problem.line for problem in summary.problems] == [3]


def test_orphans_are_counted_as_in_other_formats(tmp_path):
    records = [
        {"tokens": ["Mira", "Tolvan"], "ner_tags": ["B-PER", "I-PER"]},
        {"tokens": ["in", "Oslo"], "ner_tags": ["O", "I-LOC"]},
    ]
    source = write_jsonl(tmp_path / "in.jsonl", *records)
    summary = convert(source, tmp_path / "out.spacy", Options(orphans="drop"))
    assert summary.entities == {"PER": 1}
    assert (summary.tag_scheme, summary.incomplete_entities) == ("BIO", 1)


def test_a_file_needs_label_names_for_its_integers_only(tmp_path):
    records = [
        {"tokens": WORDS, "ner_tags": TAGS},
        {"tokens": ["Zed", "rocks"], "ner_tags": [3, 0]},
    ]
    source = write_jsonl(tmp_path / "in.jsonl", *records)
    summary = convert(source, tmp_path / "out.spacy")
    assert summary.posts == 1 and [problem.line for problem in summary.problems] == [2]
    summary = convert(source, tmp_path / "out.spacy", Options(tag_names=NAMES))
    assert summary.entities == {"PER": 1, "LOC": 2} and not summary.problems


def test_a_region_of_the_image_is_not_a_span(read):
    region = {"label": "CAR", "points": [[0, 0], [0, 9], [9, 9]]}
    [post], problems = read({"text": TEXT, "spans": [region, *objects()]})
    assert len(post.ents) == 2 and problems == ["regions of the image: left out"]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_lists_of_posts_are_read_from_json_files_only(suffix, tmp_path):
    source = tmp_path / f"x{suffix}"
    source.write_text(json.dumps([{"text": TEXT, "spans": objects()}] * 2, indent=2))
    if suffix == ".json":
        assert convert(source, tmp_path / "x.spacy").entities == {"PER": 2, "LOC": 2}
    else:
        with pytest.raises(CorpusError, match=r"name it x\.json"):
            convert(source, tmp_path / "x.spacy")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.jsonl", json.dumps({"text": TEXT}, indent=2), r"name it x\.json"),
        ("x.jsonl", "\n" + json.dumps([{"text": TEXT}]), r"name it x\.json"),
        ("x.jsonl", '{\n"text": "a"}\n{\n"text": "b"}\n', r"jq -c \."),
        ("x.jsonl", '{"text": "a"}\r{"text": "b"}\r', r"jq -c \."),
        ("x.json", '{"text": "a"}\n{"text": "b"}\n', r"jq -c \. x\.json > x\.jsonl"),
        ("x.json", json.dumps({"train": [{"text": TEXT}]}), r"jq -c '\.train\[\]'"),
        ("x.json", json.dumps([{"id": 0, "paragraphs": [{"raw": TEXT}]}]), "spacy convert"),
        ("x.json", json.dumps({"text": {"0": TEXT}}), "orient='records'"),
    ],
)
def test_other_json_files_are_refused_with_a_remedy(name, content, reason, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=reason):
        convert(tmp_path / name, tmp_path / "out.spacy")
    assert not (tmp_path / "out.spacy").exists()


def test_a_line_may_be_blank_or_a_pair(tmp_path):
    source = tmp_path / "x.jsonl"
    source.write_text("\n" + json.dumps([TEXT, {"entities": SPANS}]) + "\n\n")
    assert convert(source, tmp_path / "x.spacy").entities == {"PER": 1, "LOC": 1}
