"""RapidOCR on rendered text; skipped where its package is missing."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from spacy_mner.errors import UsageError
from spacy_mner.images.readers import rapid_ocr
from spacy_mner.images.readers.rapid_ocr import RapidOCR, WordDecoder
from spacy_mner.images.reference import open_image

from ...forks import in_forked_child
from ..samples import clock
from .signs import sign

ASSETS = Path(__file__).parents[3] / "assets"


@pytest.fixture(scope="module")
def reader() -> RapidOCR:
    pytest.importorskip("rapidocr_onnxruntime")
    return RapidOCR()


@pytest.mark.parametrize("angle", [0, -20, 20])
def test_text_is_read_line_by_line_with_the_spaces_between_words(reader, angle):
    text = "CITY ZOO\nJAGUAR FEEDING"
    assert reader.compute([sign(text, angle=angle)]) == [text]


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 3000), (3000, 1), (31, 90), (2500, 2100)], ids=lambda s: f"{s[0]}x{s[1]}"
)
def test_images_of_any_size_without_text_have_the_empty_text(reader, shape):
    assert reader.compute([np.full((*shape, 3), 120, np.uint8)]) == [""]


def test_text_below_the_threshold_is_left_out(reader):
    assert RapidOCR(threshold=1.0).compute([sign()]) == [""]
    with pytest.raises(ValueError):
        RapidOCR(threshold=-0.1)


def test_a_pickle_and_concurrent_threads_read_the_same(reader):
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.fingerprint == reader.fingerprint != RapidOCR(threshold=0.4).fingerprint
    images = [sign(), clock()] * 2
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: copy.compute([image])[0], images))
    assert found == reader.compute(images)


@pytest.mark.parametrize(
    ("name", "value"),
    [("MIN_SPACE", 0.5), ("LONGEST", 100), ("SHORTEST", 8), ("LIMITED_SIDE", "min")],
)
def test_the_fingerprint_depends_on_what_the_text_depends_on(reader, name, value, monkeypatch):
    before = reader.fingerprint
    monkeypatch.setattr(rapid_ocr, name, value)
    assert reader.fingerprint != before


def test_a_forked_child_reads_after_its_parent_has_read_with_two_threads(monkeypatch):
    """The child does not have the threads of its parent's engine, and cannot destroy it."""
    pytest.importorskip("rapidocr_onnxruntime")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    reader = RapidOCR()
    expected = reader.compute([sign()])

    def read() -> None:
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        assert reader.compute([sign()]) == expected

    assert in_forked_child(read)


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch):
    monkeypatch.setattr(rapid_ocr, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"spacy-mner\[ocr\]"):
        RapidOCR().check_installed()
    with pytest.raises(UsageError, match=r"spacy-mner\[ocr\]"):
        RapidOCR().compute([clock()])


@pytest.mark.parametrize(
    ("steps", "text", "probability"),
    [
        ([], "", 0.0),
        ([("a", 0.9, 0.0), ("a", 0.5, 0.0), ("b", 0.7, 0.0)], "ab", 0.8),
        ([("a", 0.9, 0.0), ("", 0.9, 0.2), ("a", 0.9, 0.0)], "a a", 0.9),
        ([("a", 0.9, 0.0), (" ", 0.8, 0.8), ("b", 0.9, 0.0)], "a b", 13 / 15),
    ],
)
def test_words_are_separated_where_a_space_is_possible(steps, text, probability):
    classes = ["", "a", "b", " "]
    line = np.zeros((len(steps), 4))
    for row, (character, best, space) in zip(line, steps, strict=True):
        row[-1] = space
        row[classes.index(character)] = best
    [(found, mean)] = WordDecoder(classes)(line[None])
    assert found == text
    assert mean == pytest.approx(probability)


@pytest.mark.slow
def test_nine_in_ten_words_of_the_signs_of_the_sample_corpus_are_read(reader):
    lines = (ASSETS / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    signs = [row for row in map(json.loads, lines) if "sign" in row][::4]
    n_words = n_read = 0
    for row in signs:
        [found] = reader.compute([open_image(ASSETS / row["file"], None).pixels()])
        words = Counter(row["sign"]["text"].casefold().split())
        n_words += words.total()
        n_read += (words & Counter(found.casefold().split())).total()
    assert n_read >= 0.9 * n_words
