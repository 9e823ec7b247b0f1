from __future__ import annotations

import numpy as np
import pytest
import spacy

from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1015799.jpg").write_bytes(b"image")
    return folder


def docs_of(path):
    return list(read_docs(path, spacy.blank("en").vocab))


WEIBO = "WID:L364I3366\n甘\tB-LOC\n肃\tI-LOC\n\nWID:LmQ1sizor\n突\tO\n"


def test_images_of_a_weibo_post_are_found_by_its_id(images, tmp_path):
    for name in ("L364I3366_b.jpg", "L364I3366_a.jpg", "L364I3366_a.txt", "L364I33667_a.jpg"):
        (images / name).write_bytes(b"image")
    (tmp_path / "train.txt").write_text(WEIBO, encoding="utf-8")
    summary = convert(tmp_path / "train.txt", tmp_path / "x.spacy", Options(images_root=images))
    first, second = docs_of(tmp_path / "x.spacy")
    assert first._.image == ("L364I3366_a.jpg", "L364I3366_b.jpg")
    assert second._.image is None
    assert [(one.post, one.reason) for one in summary.images_missing] == [
        ("LmQ1sizor", "not found")
    ]


def test_descriptors_and_captions_of_a_weibo_post_are_found_by_its_id(tmp_path):
    np.savez(tmp_path / "f.npz", ids=["L364I3366_b", "L364I3366_a"], features=[[1.0], [2.0]])
    (tmp_path / "c.tsv").write_text("L364I3366_b\ttwo\nL364I3366_a\tone\n")
    (tmp_path / "train.txt").write_text(WEIBO, encoding="utf-8")
    options = Options(features=tmp_path / "f.npz", captions=tmp_path / "c.tsv")
    convert(tmp_path / "train.txt", tmp_path / "x.spacy", options)
    first, second = docs_of(tmp_path / "x.spacy")
    assert first._.image_features.tolist() == [[2], [1]]
    assert first._.image_text == "one\ntwo"
    assert (second._.image_features, second._.image_text) == (None, None)


def test_each_image_of_a_header_is_looked_up(images, tmp_path):
    (images / "2.jpg").write_bytes(b"image")
    (tmp_path / "train.txt").write_text("IMGID:1015799,2,3\na\tO\n")
    summary = convert(tmp_path / "train.txt", tmp_path / "x.spacy", Options(images_root=images))
    assert docs_of(tmp_path / "x.spacy")[0]._.image == ("1015799.jpg", "2.jpg")
    assert [one.reference for one in summary.images_missing] == ["3"]
