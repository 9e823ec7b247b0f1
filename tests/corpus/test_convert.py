from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.tokens import Doc, DocBin

from spacy_mner.corpus import jsonl, labelstudio, record
from spacy_mner.corpus.convert import Options, blank_pipeline, convert
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.errors import CorpusError, MNERError, UsageError
from spacy_mner.extensions import image_as_png
from spacy_mner.images.reference import references

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
    (folder / "1015799.jpg").write_bytes(b"image")
    return folder


def docs_of(path):
    return list(read_docs(path, spacy.blank("en").vocab))


def tags(doc):
    return [f"{token.ent_iob_}-{token.ent_type_}".strip("-") for token in doc]


def test_the_summary_counts_posts_tokens_entities_and_repairs(source, tmp_path):
    summary = convert(source, tmp_path / "train.spacy", Options(orphans="drop"))
    assert (summary.posts, summary.tokens) == (3, 8)
    assert summary.entities == {"PER": 1, "OTHER": 1}
    assert (summary.repaired_tags, summary.repaired_tokens) == (1, 2)


def test_docs_have_gold_tokens_entities_and_ids(source, tmp_path):
    convert(source, tmp_path / "train.spacy", Options(rename={"OTHER": "MISC"}))
    first, second, third = docs_of(tmp_path / "train.spacy")
    assert [token.text for token in first] == ["Duke", "Dumont", "\xa0", "Ibiza"]
    assert tags(first) == ["B-PER", "I-PER", "O", "B-MISC"]
    assert tags(second) == ["O", "B-ORG", "I-ORG"]
    assert tags(third) == [""]
    ids = [doc.user_data["spacy_mner.post_id"] for doc in (first, second)]
    assert ids == ["1015799", "17_06_4705"]


def test_adjacent_entities_of_one_label_stay_separate(tmp_path):
    source = tmp_path / "x.txt"
    source.write_text("IMGID:1\na\tB-PER\nb\tB-PER\nc\tI-PER\nd\tI-LOC\n")
    convert(source, tmp_path / "x.spacy")
    [doc] = docs_of(tmp_path / "x.spacy")
    assert tags(doc) == ["B-PER", "B-PER", "I-PER", "B-LOC"]
    assert len(doc.ents) == 3


def test_images_are_stored_relative_to_images_root(source, images, tmp_path):
    summary = convert(source, tmp_path / "train.spacy", Options(images_root=images))
    assert [doc._.image for doc in docs_of(tmp_path / "train.spacy")] == [
        "1015799.jpg",
        None,
        None,
    ]
    assert (summary.images_matched, summary.posts_with_image) == (1, 1)
    assert [(one.reference, one.reason) for one in summary.images_missing] == [
        ("17_06_4705", "not found"),
        ("../../etc/passwd", "outside the image folder"),
    ]


def test_descriptors_are_found_by_id(source, tmp_path):
    np.savez(tmp_path / "f.npz", ids=["17_06_4705.jpg"], features=np.float16([[1, 2]]))
    convert(source, tmp_path / "train.spacy", Options(features=tmp_path / "f.npz"))
    features = [doc._.image_features for doc in docs_of(tmp_path / "train.spacy")]
    assert features[0] is None and features[2] is None
    assert features[1].tolist() == [1, 2]


def test_ids_are_not_stored_as_paths(source, tmp_path):
    summary = convert(source, tmp_path / "train.spacy")
    assert [doc._.image for doc in docs_of(tmp_path / "train.spacy")] == [None] * 3
    assert summary.images_missing == []


def write_jsonl(path, *records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_missing_ones_of_several_images_are_dropped(images, tmp_path):
    (images / "2.jpg").write_bytes(b"image")
    source = write_jsonl(
        tmp_path / "in.jsonl",
        {"text": "a", "image": ["2", "gone.jpg", "1015799.jpg"]},
        {"text": "b", "image": ["gone.jpg", "2"]},
    )
    summary = convert(source, tmp_path / "out.spacy", Options(images_root=images))
    first, second = docs_of(tmp_path / "out.spacy")
    assert first._.image == ("2.jpg", "1015799.jpg")
    assert second._.image == "2.jpg"
    assert [one.post for one in summary.images_missing] == ["post 1", "post 2"]


def test_descriptors_of_several_images_are_concatenated(tmp_path):
    np.savez(tmp_path / "f.npz", ids=["1", "2"], features=[[1.0, 2.0], [3.0, 4.0]])
    source = write_jsonl(tmp_path / "in.jsonl", {"text": "a", "image": ["2.jpg", "1.jpg"]})
    convert(source, tmp_path / "out.spacy", Options(features=tmp_path / "f.npz"))
    [doc] = docs_of(tmp_path / "out.spacy")
    assert doc._.image_features.tolist() == [[3, 4], [1, 2]]


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text("1015799.jpg\ta man\n2\ta hat\n", encoding="utf-8")
    return path


def test_captions_are_found_by_the_id_of_the_image(source, captions, tmp_path):
    summary = convert(source, tmp_path / "train.spacy", Options(captions=captions))
    docs = docs_of(tmp_path / "train.spacy")
    assert [doc._.image_text for doc in docs] == ["a man", None, None]
    assert [doc._.image for doc in docs] == [None] * 3
    assert summary.captions_matched == 1
    assert [(one.post, one.reason) for one in summary.captions_missing] == [
        ("17_06_4705", "not found"),
        ("../../etc/passwd", "not found"),
    ]
    assert (summary.posts_with_image, summary.images_missing) == (0, [])


def test_captions_are_combined_with_images_and_descriptors(source, images, captions, tmp_path):
    np.savez(tmp_path / "f.npz", ids=["1015799"], features=[[1.0, 2.0]])
    options = Options(images_root=images, features=tmp_path / "f.npz", captions=captions)
    convert(source, tmp_path / "train.spacy", options)
    first = docs_of(tmp_path / "train.spacy")[0]
    assert (first._.image, first._.image_text) == ("1015799.jpg", "a man")
    assert first._.image_features.tolist() == [1, 2]


def test_captions_of_several_images_are_joined_in_order(captions, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", {"text": "a", "image": ["2.jpg", "1015799"]})
    convert(source, tmp_path / "out.spacy", Options(captions=captions))
    [doc] = docs_of(tmp_path / "out.spacy")
    assert doc._.image_text == "a hat\na man"
    assert doc._.image == ("2.jpg", "1015799")


def test_captions_are_found_by_the_id_of_a_post_without_image_paths(captions, tmp_path):
    source = write_jsonl(
        tmp_path / "in.jsonl",
        {"text": "a", "id": "2", "image_features": [1]},
        {"text": "b", "id": "3", "image_features": [1]},
        {"text": "c", "id": "4"},
        {"text": "d", "id": "5", "image_text": "what was there"},
    )
    summary = convert(source, tmp_path / "out.spacy", Options(captions=captions))
    texts = [doc._.image_text for doc in docs_of(tmp_path / "out.spacy")]
    assert texts == ["a hat", None, None, "what was there"]
    # Without an image, no caption is missing.
    assert [one.post for one in summary.captions_missing] == ["3"]


@pytest.mark.parametrize("image", [5, [["a.jpg"]], {"a": 1}, [True, "a.jpg"]])
@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_an_invalid_image_is_dropped_and_reported(image, suffix, tmp_path):
    doc = Doc(spacy.blank("en").vocab, words=["a"])
    doc._.image = image
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "in.spacy")
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
    doc = Doc(spacy.blank("en").vocab, words=["a"])
    doc.user_data["._.", attribute, None, None] = value
    doc.user_data["spacy_mner.post_id"] = 7
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "in.spacy")
    [problem] = convert(tmp_path / "in.spacy", tmp_path / "out.jsonl").problems
    assert problem.line == 1 and attribute in problem.reason
    record = json.loads((tmp_path / "out.jsonl").read_text())
    assert attribute not in record and record["id"] == "7"


@pytest.mark.parametrize("suffix", [".spacy", ".jsonl", ".json"])
def test_a_post_without_text_is_left_out_and_reported(suffix, tmp_path):
    vocab = spacy.blank("en").vocab
    DocBin(docs=[Doc(vocab, words=["a"]), Doc(vocab)]).to_disk(tmp_path / "in.spacy")
    summary = convert(tmp_path / "in.spacy", tmp_path / f"out{suffix}")
    assert summary.posts == 1
    assert [(one.line, one.reason) for one in summary.problems] == [(2, "no text; left out")]


def test_none_in_a_list_of_images_is_dropped(tmp_path):
    doc = Doc(spacy.blank("en").vocab, words=["a"])
    doc._.image = ["1.jpg", None, "2.jpg"]
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / "out.json")
    convert(tmp_path / "out.json", tmp_path / "out.spacy")
    assert docs_of(tmp_path / "out.spacy")[0]._.image == ("1.jpg", "2.jpg")


def test_an_image_in_the_corpus_file_is_kept(images, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", {"text": "a", "image": "data:;base64,AAAA"})
    convert(source, tmp_path / "out.spacy", Options(images_root=images))
    assert docs_of(tmp_path / "out.spacy")[0]._.image == b"\0\0\0"


def test_round_trips_between_formats_change_nothing(source, images, tmp_path):
    paths = [tmp_path / name for name in ("a.spacy", "b.jsonl", "c.spacy", "d.jsonl")]
    first = convert(source, paths[0], Options(images_root=images))
    summaries = [convert(paths[i], paths[i + 1]) for i in range(3)]
    for summary in summaries:
        assert (summary.posts, summary.tokens, summary.entities) == (
            first.posts,
            first.tokens,
            first.entities,
        )
        assert summary.problems == []
    assert paths[1].read_text() == paths[3].read_text()
    for a, c in zip(docs_of(paths[0]), docs_of(paths[2]), strict=True):
        assert [token.text for token in a] == [token.text for token in c]
        assert tags(a) == tags(c)
        assert a._.image == c._.image


def test_pixels_are_written_as_a_data_uri(tmp_path):
    doc = Doc(spacy.blank("en").vocab, words=["a"])
    doc._.image = np.zeros((2, 3, 3), dtype="uint8")
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / "out.jsonl")
    convert(tmp_path / "out.jsonl", tmp_path / "out.spacy")
    [read] = docs_of(tmp_path / "out.spacy")
    (tmp_path / "read.png").write_bytes(read._.image)
    assert Image.open(tmp_path / "read.png").size == (3, 2)


def test_renaming_labels_of_docs_keeps_missing_annotation(tmp_path):
    vocab = spacy.blank("en").vocab
    doc = Doc(vocab, words=["a", "b", "c"], ents=["B-OTHER", None, "O"])
    DocBin(docs=[doc]).to_disk(tmp_path / "in.spacy")
    convert(tmp_path / "in.spacy", tmp_path / "out.spacy", Options(rename={"OTHER": "MISC"}))
    assert tags(docs_of(tmp_path / "out.spacy")[0]) == ["B-MISC", "", "O"]


def test_a_corpus_can_be_converted_in_place(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", {"text": "a b", "spans": []})
    convert(path, path)
    assert convert(path, path).tokens == 2


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
    assert written["repaired_tags"] == 1
    assert [problem["line"] for problem in written["problems"]] == [12, 15]
    assert [one["reference"] for one in written["images_missing"]] == [
        "17_06_4705",
        "../../etc/passwd",
    ]
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
        ("x", "x.spacy", "y.spacy", "not a .spacy file"),
        ("x", "x.csv", "x.spacy", "input must end in"),
        ("IMGID:1\na\tO\n", "x.txt", "x.csv", "output must end in"),
        ("{", "x.json", "x.spacy", "not JSON"),
        ("[]", "x.json", "x.spacy", "no post"),
        ("3", "x.json", "x.spacy", "not a list of tasks"),
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
    assert written["alignment"] == {
        "spans": 4,
        "misaligned": 2,
        "examples": [
            {"span": "Nike", "tokens": ["@Nike"]},
            {"span": "NYC", "tokens": ["NYCmarathon"]},
        ],
    }
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


def test_path_traversal_is_dropped_without_images_root(tmp_path):
    source = tmp_path / "posts.jsonl"
    images = [["a.jpg", "../secret.jpg"], "x/../../y.jpg", "..\\z.jpg", "b..c.jpg"]
    source.write_text("".join(json.dumps({"text": "hi", "image": i}) + "\n" for i in images))
    summary = convert(source, tmp_path / "posts.spacy", Options())
    assert [doc._.image for doc in docs_of(tmp_path / "posts.spacy")] == [
        "a.jpg",
        None,
        None,
        "b..c.jpg",
    ]
    assert [m.reference for m in summary.images_missing] == [
        "../secret.jpg",
        "x/../../y.jpg",
        "..\\z.jpg",
    ]
