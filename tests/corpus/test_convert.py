from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.training import Example

from spacy_mner.corpus import jsonl, labelstudio, record
from spacy_mner.corpus.convert import Options, blank_pipeline, convert
from spacy_mner.corpus.docbin import write_docs
from spacy_mner.corpus.predicted import make_predicted
from spacy_mner.errors import CorpusError, MNERError, UsageError
from spacy_mner.extensions import image_as_png
from spacy_mner.images.reference import references

from ..images.samples import SMALLEST
from .strategies import content, doc_of, docs_of, id_of, tags_of, words_of, write_jsonl

CONLL = """IMGID:1015799
Duke\tB-PER
Dumont\tI-PER
\xa0\tO
Ibiza\tB-OTHER

IMGID:17_06_4705
the\tO
Eagles\tI-ORG
fans\tI-ORG

IMGID:O_3498

IMGID:../../etc/passwd
hello
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(CONLL, encoding="utf-8")
    return path


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1015799.jpg").write_bytes(SMALLEST)
    return folder


def test_the_summary_counts_posts_tokens_entities_and_repairs(source, tmp_path):
    summary = convert(source, tmp_path / "train.spacy", Options(orphans="drop"))
    assert (summary.posts, summary.tokens) == (3, 8)
    assert summary.entities == {"PER": 1, "OTHER": 1}
    assert (summary.incomplete_entities, summary.changed_tags) == (1, 2)


def test_docs_have_gold_tokens_entities_and_ids(source, tmp_path):
    convert(source, tmp_path / "train.spacy", Options(rename={"OTHER": "MISC"}))
    first, second, third = docs_of(tmp_path / "train.spacy")
    assert words_of(first) == ["Duke", "Dumont", "\xa0", "Ibiza"]
    assert tags_of(first) == ["B-PER", "I-PER", "O", "B-MISC"]
    assert tags_of(second) == ["O", "B-ORG", "I-ORG"]
    assert tags_of(third) == [""]
    assert [id_of(first), id_of(second)] == ["1015799", "17_06_4705"]


def test_adjacent_entities_of_one_label_stay_separate(tmp_path):
    source = tmp_path / "x.txt"
    source.write_text("IMGID:1\na\tB-PER\nb\tB-PER\nc\tI-PER\nd\tI-LOC\n")
    convert(source, tmp_path / "x.spacy")
    [doc] = docs_of(tmp_path / "x.spacy")
    assert tags_of(doc) == ["B-PER", "B-PER", "I-PER", "B-LOC"]
    assert len(doc.ents) == 3


@pytest.mark.parametrize("image", [5, [["a.jpg"]], {"a": 1}, [True, "a.jpg"]])
@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_an_invalid_image_is_dropped_and_reported(image, suffix, tmp_path):
    write_docs([doc_of("a", image=image)], tmp_path / "in.spacy")
    [problem] = convert(tmp_path / "in.spacy", tmp_path / f"out{suffix}").problems
    assert problem.line == 1 and "image is neither a reference" in problem.reason
    convert(tmp_path / f"out{suffix}", tmp_path / "back.spacy")
    [back] = docs_of(tmp_path / "back.spacy")
    kept = ["a.jpg"] if isinstance(image, list) and "a.jpg" in image else []
    assert references(back._.image) == kept


TRUNCATED_PNG = image_as_png(np.zeros((30, 30, 3), "uint8"))[:-30]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        *[("image_features", x) for x in ("abc", [b"x"], [float("nan")], [[[1.0]]], {"a": 1})],
        ("image_features", {"__mner_image__": TRUNCATED_PNG}),
        *[("image_objects", x) for x in ("cat", [3], [{"label": "cat", "box": [1, 2]}])],
        ("image_text", b"a cat"),
    ],
)
def test_an_invalid_attribute_is_dropped_and_reported(attribute, value, tmp_path):
    doc = doc_of("a", post_id=7)
    doc.user_data["._.", attribute, None, None] = value
    write_docs([doc], tmp_path / "in.spacy")
    [problem] = convert(tmp_path / "in.spacy", tmp_path / "out.jsonl").problems
    assert problem.line == 1 and attribute in problem.reason
    record = json.loads((tmp_path / "out.jsonl").read_text())
    assert attribute not in record and record["id"] == "7"


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_a_post_without_text_is_left_out_and_reported(suffix, tmp_path):
    write_docs([doc_of("a"), doc_of()], tmp_path / "in.spacy")
    summary = convert(tmp_path / "in.spacy", tmp_path / f"out{suffix}")
    assert summary.posts == 1
    assert [(one.line, one.reason) for one in summary.problems] == [(2, "no text; left out")]


def test_none_in_a_list_of_images_is_dropped(tmp_path):
    write_docs([doc_of("a", image=["1.jpg", None, "2.jpg"])], tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / "out.json")
    convert(tmp_path / "out.json", tmp_path / "out.spacy")
    assert docs_of(tmp_path / "out.spacy")[0]._.image == ("1.jpg", "2.jpg")


def test_round_trips_between_formats_change_nothing(source, images, tmp_path):
    paths = [tmp_path / name for name in ("a.spacy", "b.jsonl", "c.spacy", "d.jsonl")]
    first = convert(source, paths[0], Options(images_root=images))
    for summary in [convert(paths[i], paths[i + 1]) for i in range(3)]:
        for count in ("posts", "tokens", "entities"):
            assert getattr(summary, count) == getattr(first, count)
        assert summary.problems == []
    assert paths[1].read_text() == paths[3].read_text()
    assert [*map(content, docs_of(paths[0]))] == [*map(content, docs_of(paths[2]))]


def test_pixels_are_written_as_a_data_uri(tmp_path):
    write_docs([doc_of("a", image=np.zeros((2, 3, 3), "uint8"))], tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / "out.jsonl")
    convert(tmp_path / "out.jsonl", tmp_path / "out.spacy")
    [read] = docs_of(tmp_path / "out.spacy")
    (tmp_path / "read.png").write_bytes(read._.image)
    assert Image.open(tmp_path / "read.png").size == (3, 2)


DROPPED = {"NORP": "", "OTHER": "MISC"}


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_spans_of_a_dropped_label_are_outside_in_every_format(suffix, tmp_path):
    entities = [(0, 2, "NORP"), (2, 3, "OTHER"), (4, 5, "NORP")]
    doc = doc_of(*"abcdef", entities=entities, missing=[3])
    write_docs([doc], tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / f"x{suffix}")
    summary = convert(tmp_path / f"x{suffix}", tmp_path / "out.spacy", Options(rename=DROPPED))
    assert tags_of(docs_of(tmp_path / "out.spacy")[0]) == ["O", "O", "B-MISC", "", "O", "O"]
    assert (summary.dropped, summary.entities) == ({"NORP": 2}, {"MISC": 1})
    assert json.loads((tmp_path / "out.spacy.summary.json").read_text())["dropped"] == {"NORP": 2}


def test_tags_of_a_dropped_label_are_outside(tmp_path):
    source = tmp_path / "x.conll"
    source.write_text("a\tB-NORP\nb\tI-NORP\nc\tB-NORP\nd\tB-OTHER\ne\tI-MISC\n")
    summary = convert(source, tmp_path / "x.spacy", Options(rename={**DROPPED, "GPE": ""}))
    assert tags_of(docs_of(tmp_path / "x.spacy")[0]) == ["O", "O", "O", "B-MISC", "I-MISC"]
    assert (summary.dropped, summary.unused_names) == ({"NORP": 2}, ["GPE"])


def test_a_dropped_span_does_not_replace_one_inside_it(tmp_path):
    spans = [{"start": 0, "end": 9, "label": "NORP"}, {"start": 0, "end": 4, "label": "PER"}]
    source = write_jsonl(tmp_path / "in.jsonl", {"text": "Mira left", "spans": spans})
    summary = convert(source, tmp_path / "x.spacy", Options(rename=DROPPED))
    assert summary.entities == {"PER": 1} and not summary.problems


def test_renaming_labels_of_docs_keeps_missing_annotation(tmp_path):
    doc = doc_of("a", "b", "c", entities=[(0, 1, "OTHER")], missing=[1])
    write_docs([doc], tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / "out.spacy", Options(rename={"OTHER": "MISC"}))
    assert tags_of(docs_of(tmp_path / "out.spacy")[0]) == ["B-MISC", "", "O"]


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_the_input_is_never_the_output(link, tmp_path):
    # Posts that are left out would be lost.
    source = target = write_jsonl(tmp_path / "x.jsonl", {"text": "a b"}, {"text": ""})
    before = source.read_bytes()
    if link is not None:
        target = tmp_path / "y.jsonl"
        getattr(target, link)(source)
    with pytest.raises(UsageError, match="is the input"):
        convert(source, target)
    assert source.read_bytes() == before


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_posts_are_converted_one_at_a_time(suffix, tmp_path, monkeypatch):
    events = []

    def reading(*values, make=record.make_doc, **attributes):
        events.append("read")
        return make(*values, **attributes)

    def writing(doc, to_record=record.doc_to_record):
        events.append("written")
        return to_record(doc)

    monkeypatch.setattr(record, "make_doc", reading)
    for module in (jsonl, labelstudio):
        monkeypatch.setattr(module, "doc_to_record", writing)
    source = write_jsonl(tmp_path / "in.jsonl", *[{"text": "a"}] * 3)
    convert(source, tmp_path / f"out{suffix}")
    assert events == ["read", "written"] * 3


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_a_failed_conversion_keeps_the_previous_output(suffix, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"IMGID:1\na\tO\n\nIMGID:2\n\xff\tO\n")
    target = tmp_path / f"out{suffix}"
    target.write_text("before")
    with pytest.raises(CorpusError, match="UTF-8"):
        convert(tmp_path / "in.txt", target)
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", f"out{suffix}"]


def test_the_summary_is_written_next_to_the_output(source, images, tmp_path):
    output = tmp_path / "out" / "train.spacy"
    options = Options(images_root=images, rename={"OTHER": "MISC", "GEO": "LOC"})
    convert(source, output, options)
    written = json.loads((tmp_path / "out" / "train.spacy.summary.json").read_text())
    assert written["entities"] == {"MISC": 1, "ORG": 1, "PER": 1}
    assert written["incomplete_entities"] == 1
    assert [problem["line"] for problem in written["problems"]] == [12, 15]
    missing = [one["reference"] for one in written["images_missing"]]
    assert missing == ["17_06_4705", "../../etc/passwd"]
    assert written["unused_names"] == ["GEO"]
    assert written["orphans"] == "open"
    assert (written["input"], written["output"]) == ("train.txt", "train.spacy")


def test_sentiment_labels_are_detected(tmp_path):
    (tmp_path / "x.txt").write_text("IMGID:1\na\tB-POS\nb\tB-NEG\n")
    assert convert(tmp_path / "x.txt", tmp_path / "x.spacy").looks_like_sentiment
    (tmp_path / "y.txt").write_text("IMGID:1\na\tB-PER\n")
    assert not convert(tmp_path / "y.txt", tmp_path / "y.spacy").looks_like_sentiment


@pytest.mark.parametrize(
    ("content", "source", "target", "reason"),
    [
        (None, "gone.txt", "x.spacy", "no file"),
        ("", "x.txt", "x.spacy", "no post"),
        ("IMGID:1\n", "x.txt", "x.spacy", "no tokens"),
        ("{", "x.jsonl", "x.spacy", "no post"),
        ("x", "x.spacy", "y.spacy", "spacy-mner convert INPUT"),
        ("x", "x.csv", "x.spacy", "input must end in"),
        ("IMGID:1\na\tO\n", "x.txt", "x.csv", "output must end in"),
        ("{", "x.json", "x.spacy", "not JSON"),
        ("[]", "x.json", "x.spacy", "no post"),
        ("3", "x.json", "x.spacy", "not a list of posts"),
        ("[3]", "x.json", "x.spacy", "the first in task 1: not a JSON object"),
    ],
)
def test_invalid_input_or_options_raise(tmp_path, content, source, target, reason):
    if content is not None:
        (tmp_path / source).write_text(content)
    with pytest.raises(MNERError, match=reason):
        convert(tmp_path / source, tmp_path / target)
    assert not (tmp_path / Path(target).with_suffix(".spacy.summary.json")).exists()


MENTIONS = [
    {"text": "thanks @Nike", "spans": [{"start": 8, "end": 12, "label": "ORG"}]},
    {"text": "in #NewYork", "spans": [{"start": 4, "end": 11, "label": "LOC"}]},
    {"text": "by Nike/adidas", "spans": [{"start": 3, "end": 7, "label": "ORG"}]},
    {"text": "the NYCmarathon", "spans": [{"start": 4, "end": 7, "label": "LOC"}]},
]


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_spans_that_do_not_align_with_the_tokenizer_are_counted(suffix, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", *MENTIONS)
    convert(source, tmp_path / f"out{suffix}")
    # The tokens of the output are split at the spans, unlike those of the tokenizer.
    summary = convert(tmp_path / f"out{suffix}", tmp_path / "back.spacy")
    assert (summary.alignment.spans, summary.alignment.misaligned) == (4, 2)
    written = json.loads((tmp_path / "back.spacy.summary.json").read_text())
    assert written["alignment"]["inside_words"] == 1
    assert written["alignment"]["examples"] == [
        {"span": "Nike", "tokens": ["@Nike"]},
        {"span": "NYC", "tokens": ["NYCmarathon"]},
    ]
    assert written["problems"] == []


def test_spans_are_aligned_with_the_tokenizer_of_the_given_pipeline(tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", *MENTIONS)
    nlp = spacy.blank("en")
    nlp.tokenizer.prefix_search = spacy.util.compile_prefix_regex(["@", "#", "NYC"]).search
    assert convert(source, tmp_path / "out.spacy", Options(nlp=nlp)).alignment.misaligned == 0


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_unknown_spaces_stay_unknown_in_every_format(source, suffix, tmp_path):
    convert(source, tmp_path / f"x{suffix}")
    convert(tmp_path / f"x{suffix}", tmp_path / "back.spacy")
    assert [doc.has_unknown_spaces for doc in docs_of(tmp_path / "back.spacy")] == [True] * 3


def test_an_unknown_language_raises_usage_error():
    with pytest.raises(UsageError, match="xyz"):
        blank_pipeline("xyz")


def test_an_unknown_convention_for_orphans_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a\tO\n")
    with pytest.raises(UsageError, match="keep"):
        convert(tmp_path / "a.txt", tmp_path / "a.spacy", Options(orphans="keep"))


@pytest.mark.parametrize("option", ["tokens", "mentions"])
def test_an_unknown_choice_is_refused(option, tmp_path):
    (tmp_path / "a.txt").write_text("a\tO\n")
    with pytest.raises(UsageError, match=option):
        convert(tmp_path / "a.txt", tmp_path / "a.spacy", Options(**{option: "some"}))


BROAD_TWITTER = """IMGID:1
@\tB-PER
name\tB-PER

IMGID:2
by\tO
#\tO
Nike\tB-ORG
@\tO
Oslo\tB-LOC
City\tI-LOC
!\tO
"""


def nlp_of_posts():
    tokenizer = {"@tokenizers": "spacy_mner.PostTokenizer.v1"}
    return spacy.blank("en", config={"nlp": {"tokenizer": tokenizer}})


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_words_are_joined_to_a_text_that_pipelines_tokenize(suffix, tmp_path):
    (tmp_path / "in.txt").write_text(BROAD_TWITTER)
    nlp = nlp_of_posts()
    options = Options(tokens="pipeline", annotates=["PER", "ORG", "LOC"], nlp=nlp)
    summary = convert(tmp_path / "in.txt", tmp_path / f"x{suffix}", options)
    # The sign, the name, and the two words after a sign.
    assert (summary.alignment.spans, summary.alignment.misaligned) == (4, 3)
    assert summary.alignment.joined == 0 and "missing annotation" in summary.alignment.warning
    convert(tmp_path / f"x{suffix}", tmp_path / "y.spacy")
    convert(tmp_path / "in.txt", tmp_path / "z.spacy", Options(annotates=["PER", "ORG", "LOC"]))
    texts, unknown = docs_of(tmp_path / "y.spacy"), docs_of(tmp_path / "z.spacy")
    assert [doc.text for doc in texts] == ["@name", "by #Nike @Oslo City!"]
    for doc, other in zip(texts, unknown, strict=True):
        assert (words_of(doc), tags_of(doc)) == (words_of(other), tags_of(other))
        assert (id_of(doc), doc._.annotated_labels) == (id_of(other), other._.annotated_labels)
        assert not doc.has_unknown_spaces and other.has_unknown_spaces
        assert words_of(make_predicted(doc, nlp)) == words_of(nlp(doc.text))


def test_posts_with_text_are_not_joined(tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", {"text": "at @ Nobu  ( now )", "spans": []})
    convert(source, tmp_path / "x.spacy", Options(tokens="pipeline"))
    assert [doc.text for doc in docs_of(tmp_path / "x.spacy")] == ["at @ Nobu  ( now )"]


@pytest.mark.parametrize("tokens", ["corpus", "pipeline"])
@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_spans_that_are_only_a_mention_become_missing_annotation(suffix, tokens, tmp_path):
    (tmp_path / "in.txt").write_text(BROAD_TWITTER)
    options = Options(tokens=tokens, mentions="missing", nlp=nlp_of_posts())
    summary = convert(tmp_path / "in.txt", tmp_path / f"x{suffix}", options)
    assert (summary.missing_mentions, summary.unannotated) == (2, 0)
    assert summary.entities == {"ORG": 1, "LOC": 1} and summary.alignment.spans == 2
    assert convert(tmp_path / f"x{suffix}", tmp_path / "y.spacy").missing_mentions is None
    first, second = docs_of(tmp_path / "y.spacy")
    assert tags_of(first) == ["", ""]
    assert tags_of(second) == ["O", "O", "B-ORG", "O", "B-LOC", "I-LOC", "O"]


def test_a_missing_mention_is_unknown_for_the_tokens_of_a_pipeline(tmp_path):
    lines = "thanks\tO\n@\tB-PER\nname\tB-PER\nin\tO\nOslo\tB-LOC\n"
    (tmp_path / "in.txt").write_text(lines)
    options = Options(tokens="pipeline", mentions="missing")
    convert(tmp_path / "in.txt", tmp_path / "x.spacy", options)
    [doc] = docs_of(tmp_path / "x.spacy")
    example = Example(make_predicted(doc, nlp_of_posts()), doc)
    assert words_of(example.predicted) == ["thanks", "@name", "in", "Oslo"]
    assert example.get_aligned_ner() == ["O", None, "O", "U-LOC"]


@pytest.mark.parametrize(("lang", "misaligned"), [("en", 2), ("zh", 0)])
def test_the_words_of_a_corpus_without_text_are_joined_to_count_spans(lang, misaligned, tmp_path):
    rows = zip("老王在北京", ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"], strict=True)
    lines = [f"{character}\t{tag}\n" for character, tag in rows]
    (tmp_path / "in.txt").write_text("".join(lines), encoding="utf-8")
    options = Options(nlp=spacy.blank(lang))
    summary = convert(tmp_path / "in.txt", tmp_path / "out.spacy", options)
    assert (summary.alignment.spans, summary.alignment.misaligned) == (2, misaligned)
    assert bool(summary.alignment.warning) == bool(misaligned)
