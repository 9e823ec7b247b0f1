from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spacy_mner.corpus.convert import Options, convert

from ..images.samples import SMALLEST
from .strategies import docs_of, write_jsonl

CONLL = """IMGID:1015799
Duke\tB-PER

IMGID:17_06_4705
Eagles\tI-ORG

IMGID:../../etc/passwd
hello\tO
"""


@pytest.fixture
def attach(tmp_path):
    """Return a function that converts a corpus, and returns its Docs and the summary."""

    def attach(corpus, **options):
        source = tmp_path / ("in.txt" if isinstance(corpus, str) else "in.jsonl")
        if isinstance(corpus, str):
            source.write_text(corpus, encoding="utf-8")
        else:
            write_jsonl(source, *corpus)
        summary = convert(source, tmp_path / "out.spacy", Options(**options))
        return docs_of(tmp_path / "out.spacy"), summary

    return attach


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("1015799.jpg", "2.jpg"):
        (folder / name).write_bytes(SMALLEST)
    return folder


@pytest.fixture
def features(tmp_path):
    def write(**descriptors):
        path = tmp_path / "f.npz"
        np.savez(path, ids=list(descriptors), features=np.float16([*descriptors.values()]))
        return path

    return write


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text("1015799.jpg\ta man\n2\ta hat\n", encoding="utf-8")
    return path


def images_of(docs):
    return [doc._.image for doc in docs]


def test_images_are_stored_relative_to_images_root(attach, images):
    docs, summary = attach(CONLL, images_root=images)
    assert images_of(docs) == ["1015799.jpg", None, None]
    assert (summary.images_matched, summary.posts_with_image) == (1, 1)
    assert [(one.post, one.reference, one.reason) for one in summary.images_missing] == [
        ("17_06_4705", "17_06_4705", f"not found in {images}"),
        ("../../etc/passwd", "../../etc/passwd", "outside the image folder"),
    ]


def test_ids_are_not_stored_as_paths(attach):
    docs, summary = attach(CONLL)
    assert images_of(docs) == [None] * 3
    assert summary.images_missing == []


def test_missing_ones_of_several_images_are_dropped(attach, images):
    names = (["2", "gone.jpg", "1015799.jpg"], ["gone.jpg", "2"])
    docs, summary = attach([{"text": "a", "image": one} for one in names], images_root=images)
    assert images_of(docs) == [("2.jpg", "1015799.jpg"), "2.jpg"]
    posts = [one.post for one in summary.images_missing]
    assert posts == ["post 1 of the output", "post 2 of the output"]


def test_each_image_of_a_header_is_looked_up(attach, images):
    docs, summary = attach("IMGID:1015799,2,3\na\tO\n", images_root=images)
    assert images_of(docs) == [("1015799.jpg", "2.jpg")]
    assert [one.reference for one in summary.images_missing] == ["3"]


@pytest.mark.parametrize(("content", "reason"), [(b"text", "not an image"), (b"", "empty file")])
def test_a_file_that_is_not_an_image_is_missing(attach, images, content, reason):
    (images / "fake.jpg").write_bytes(content)
    names = ["2.jpg", "fake.jpg"]
    docs, summary = attach([{"text": "a", "image": one} for one in names], images_root=images)
    assert images_of(docs) == ["2.jpg", None]
    assert summary.images_matched == 1
    assert [one.reason for one in summary.images_missing] == [reason]


@pytest.mark.parametrize("is_absolute", [False, True], ids=["working directory", "parent"])
def test_the_folder_in_which_missing_images_exist_is_suggested_once(
    attach, images, monkeypatch, is_absolute
):
    monkeypatch.chdir(images.parent if not is_absolute else "/")
    root, expected = (images, images.parent) if is_absolute else (Path("images"), Path())
    names = ["gone.jpg", "a" * 999, "../1.jpg", "images/2.jpg", "images/1015799.jpg"]
    _, summary = attach([{"text": "a", "image": one} for one in names], images_root=root)
    assert len(summary.images_missing) == 5
    assert summary.root_hint == (
        f"{root}/images/2.jpg does not exist, {expected / 'images/2.jpg'} does: "
        f"--images-root {expected}"
    )


def test_no_folder_is_suggested_without_one(attach, images):
    _, summary = attach([{"text": "a", "image": "gone.jpg"}], images_root=images)
    assert summary.root_hint == ""


def test_an_image_in_the_corpus_file_is_kept(attach, images):
    docs, _ = attach([{"text": "a", "image": "data:;base64,AAAA"}], images_root=images)
    assert images_of(docs) == [b"\0\0\0"]


def test_path_traversal_is_dropped_without_images_root(attach):
    names = [["a.jpg", "../secret.jpg"], "x/../../y.jpg", "..\\z.jpg", "b..c.jpg"]
    docs, summary = attach([{"text": "hi", "image": one} for one in names])
    assert images_of(docs) == ["a.jpg", None, None, "b..c.jpg"]
    missing = [one.reference for one in summary.images_missing]
    assert missing == ["../secret.jpg", "x/../../y.jpg", "..\\z.jpg"]


def test_descriptors_are_found_by_id(attach, features):
    docs, summary = attach(CONLL, features=features(**{"17_06_4705.jpg": [1, 2]}))
    found = [doc._.image_features for doc in docs]
    assert found[0] is None and found[2] is None
    assert found[1].tolist() == [1, 2]
    assert (summary.images_matched, summary.posts_with_image) == (1, 1)


def test_descriptors_of_several_images_are_concatenated(attach, features):
    records = [{"text": "a", "image": ["2.jpg", "1.jpg"]}]
    [doc], _ = attach(records, features=features(**{"1": [1, 2], "2": [3, 4]}))
    assert doc._.image_features.tolist() == [[3, 4], [1, 2]]


def test_captions_are_found_by_the_id_of_the_image(attach, captions):
    docs, summary = attach(CONLL, captions=captions)
    assert [doc._.image_text for doc in docs] == ["a man", None, None]
    assert images_of(docs) == [None] * 3
    assert summary.captions_matched == 1
    assert [(one.post, one.reason) for one in summary.captions_missing] == [
        ("17_06_4705", f"not found in {captions}"),
        ("../../etc/passwd", f"not found in {captions}"),
    ]
    assert (summary.posts_with_image, summary.images_missing) == (0, [])


def test_captions_are_combined_with_images_and_descriptors(attach, images, features, captions):
    descriptors = features(**{"1015799": [1, 2]})
    docs, _ = attach(CONLL, images_root=images, features=descriptors, captions=captions)
    assert (docs[0]._.image, docs[0]._.image_text) == ("1015799.jpg", "a man")
    assert docs[0]._.image_features.tolist() == [1, 2]


def test_captions_of_several_images_are_joined_in_order(attach, captions):
    [doc], _ = attach([{"text": "a", "image": ["2.jpg", "1015799"]}], captions=captions)
    assert doc._.image_text == "a hat\na man"
    assert doc._.image == ("2.jpg", "1015799")


def test_captions_are_found_by_the_id_of_a_post_without_image_paths(attach, captions):
    records = [
        {"text": "a", "id": "2", "image_features": [1]},
        {"text": "b", "id": "3", "image_features": [1]},
        {"text": "c", "id": "4"},
        {"text": "d", "id": "5", "image_text": "what was there"},
    ]
    docs, summary = attach(records, captions=captions)
    assert [doc._.image_text for doc in docs] == ["a hat", None, None, "what was there"]
    # Without an image, no caption is missing.
    assert [one.post for one in summary.captions_missing] == ["3"]


WEIBO = "WID:L364I3366\n甘\tB-LOC\n肃\tI-LOC\n\nWID:LmQ1sizor\n突\tO\n"


def test_images_of_a_weibo_post_are_found_by_its_id(attach, images):
    for name in ("L364I3366_b.jpg", "L364I3366_a.jpg", "L364I3366_a.txt", "L364I33667_a.jpg"):
        (images / name).write_bytes(SMALLEST)
    docs, summary = attach(WEIBO, images_root=images)
    assert images_of(docs) == [("L364I3366_a.jpg", "L364I3366_b.jpg"), None]
    missing = [(one.post, one.reason) for one in summary.images_missing]
    assert missing == [("LmQ1sizor", f"not found in {images}")]


def test_descriptors_and_captions_of_a_weibo_post_are_found_by_its_id(attach, features, tmp_path):
    (tmp_path / "c.tsv").write_text("L364I3366_b\ttwo\nL364I3366_a\tone\n")
    descriptors = features(L364I3366_b=[1], L364I3366_a=[2])
    (first, second), _ = attach(WEIBO, features=descriptors, captions=tmp_path / "c.tsv")
    assert first._.image_features.tolist() == [[2], [1]]
    assert first._.image_text == "one\ntwo"
    assert (second._.image_features, second._.image_text) == (None, None)
