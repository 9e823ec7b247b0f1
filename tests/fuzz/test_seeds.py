"""What is damaged is sound, of every format, and the same in each process."""

from __future__ import annotations

import io
import time
from random import Random

import pytest
from PIL import Image

from spacy_mner.images.safety.limits import UNTRUSTED

from .corpus_cases import CorpusCases, all_seeds
from .corpus_cases import judge as judge_corpus
from .image_cases import ImageCases
from .image_cases import judge as judge_image
from .image_seeds import image_seeds
from .row_cases import FORMATS, READERS, RowCases
from .row_cases import judge as judge_rows
from .row_seeds import POSTS, WRITERS, pairs_of, row_seeds

ACCEPTED = {"trusted": "", "untrusted": ""}


@pytest.fixture(scope="module")
def images():
    return image_seeds()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_there_is_an_image_of_each_format_that_pillow_writes_or_reads(images):
    Image.init()
    assert images.keys() >= Image.SAVE.keys()
    read = [contents[0] for format, contents in images.items() if format not in ("PALM", "PDF")]
    formats = {str(Image.open(io.BytesIO(content)).format).upper() for content in read}
    assert formats >= set(Image.ID)


def test_images_that_people_post_are_accepted_as_they_are(images, tmp_path):
    for format in UNTRUSTED.formats & images.keys():
        for content in images[format]:
            assert judge_image(content, tmp_path / "image") == ACCEPTED, format


def test_corpora_are_accepted_as_they_are(tmp_path):
    for (use, suffix), contents in all_seeds().items():
        for number, content in enumerate(contents):
            folder = tmp_path / f"{use} {number}{suffix}"
            folder.mkdir()
            found = judge_corpus(use, suffix, content, folder, Random(0))
            assert found == {f"{use} {suffix}": ""}


def test_rows_are_accepted_as_they_are_in_each_format_and_into_each(tmp_path, monkeypatch):
    for suffix, contents in row_seeds().items():
        for number, content in enumerate(contents):
            for output in FORMATS:
                monkeypatch.setattr("tests.fuzz.row_cases.FORMATS", (output,))
                folder = tmp_path / f"{number}{suffix}{output}"
                folder.mkdir()
                found = judge_rows(suffix, content, folder, Random(0))
                assert found == {f"{suffix} to {output}": ""}


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_are_written_with_all_their_texts_in_each_format(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    path.write_bytes(WRITERS[suffix](pairs_of(POSTS)))
    found = [row["text"] or None for row in READERS[suffix](path)]
    assert found == [post["text"] or None for post in POSTS]


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_that_changed_places_are_seen(tmp_path, monkeypatch, suffix):
    read = READERS[suffix]
    monkeypatch.setitem(READERS, suffix, lambda path: read(path)[::-1])
    monkeypatch.setattr("tests.fuzz.row_cases.FORMATS", (suffix,))
    content = WRITERS[".jsonl"](pairs_of(POSTS))
    with pytest.raises(AssertionError, match="became"):
        judge_rows(".jsonl", content, tmp_path, Random(0))


@pytest.mark.parametrize("cases_of", [ImageCases, CorpusCases, RowCases])
def test_a_number_is_always_the_same_file(cases_of):
    cases = cases_of(0)
    time.sleep(1.1)  # some formats hold the time at which they were written
    again = cases_of(0)
    assert again == cases
    assert [again.file(number) for number in range(100)] == list(map(cases.file, range(100)))
    assert cases_of(1).file(0) != cases.file(0)
