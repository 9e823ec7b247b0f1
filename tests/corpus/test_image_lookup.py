from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_mner.corpus.image_lookup import (
    CaptionFile,
    FeatureFile,
    ImageFolder,
    ImageNotFound,
    relative_path,
)
from spacy_mner.errors import CorpusError

from ..images.samples import SMALLEST


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    (folder / "day").mkdir(parents=True)
    for name in ("1015799.jpg", "17.06.jpg", "café.png", "UP.JPG", "day/1.jpg", "2.jpg", "2.png"):
        (folder / name).write_bytes(SMALLEST)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return folder


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("1015799", "1015799.jpg"),
        ("1015799.jpg", "1015799.jpg"),
        ("1015799.png", "1015799.jpg"),
        ("17.06", "17.06.jpg"),
        ("cafe\u0301", "café.png"),
        ("UP", "UP.JPG"),
        ("UP.jpg", "UP.JPG"),
        ("day/1", "day/1.jpg"),
        ("./day/1.jpg", "day/1.jpg"),
        ("day\\1.jpg", "day/1.jpg"),
        ("2.png", "2.png"),
    ],
)
def test_an_image_is_found_with_and_without_extension(root, reference, found):
    assert ImageFolder(root).find(reference) == found


def test_an_absolute_path_inside_the_folder_becomes_relative(root):
    assert ImageFolder(root).find(str(root / "day" / "1.jpg")) == "day/1.jpg"


@pytest.mark.parametrize(
    "reference",
    ["../secret.jpg", "../../etc/passwd", "/etc/passwd", "/", "day/../../secret", "..\\secret.jpg",
     "C:\\secret.jpg", "..", ".", "", "\0", "1\0", "day/"],
)  # fmt: skip
def test_path_traversal_is_refused(root, reference):
    with pytest.raises(ImageNotFound):
        ImageFolder(root).find(reference)


@given(st.text() | st.from_regex(r"\A([./\\]|\.\.|a)+\Z"))
def test_any_reference_is_below_the_folder_or_refused(reference):
    try:
        path = relative_path(reference)
    except ImageNotFound:
        return
    assert not path.is_absolute() and ".." not in path.parts


def test_an_ambiguous_name_is_not_found(root):
    with pytest.raises(ImageNotFound, match=r"2\.jpg, 2\.png"):
        ImageFolder(root).find("2")


def test_a_folder_is_not_found_as_an_image(root):
    with pytest.raises(ImageNotFound, match="not found"):
        ImageFolder(root).find("day")


def test_a_missing_folder_raises(tmp_path):
    with pytest.raises(CorpusError, match="--images-root"):
        ImageFolder(tmp_path / "nowhere")


@pytest.fixture
def features(tmp_path):
    def write(ids, values):
        path = tmp_path / "features.npz"
        np.savez(path, ids=np.array(ids), features=np.asarray(values))
        return FeatureFile(path)

    return write


def test_a_descriptor_is_found_with_and_without_extension(features):
    file = features(["1.jpg", "2"], np.float16([[1, 2], [3, 4]]))
    for reference, expected in [("1", [1, 2]), ("1.jpg", [1, 2]), ("2", [3, 4]), ("2.jpg", [3, 4])]:
        found = file.find(reference)
        assert found.dtype == np.float32
        assert found.tolist() == expected


def test_a_descriptor_may_have_regions(features):
    assert features(["1"], np.ones((1, 49, 8))).find("1").shape == (49, 8)


def test_ids_may_be_numbers(features):
    assert features([17, 18], [[1.0], [2.0]]).find("18").tolist() == [2.0]


def test_unknown_ids_and_invalid_descriptors_are_not_found(features):
    file = features(["1", "2"], [[1.0], [np.nan]])
    with pytest.raises(ImageNotFound, match="not found"):
        file.find("3")
    with pytest.raises(ImageNotFound, match="non-finite"):
        file.find("2")


@pytest.mark.parametrize(
    ("ids", "values", "reason"),
    [
        (["1", "1"], [[1.0], [2.0]], "duplicate"),
        (["café", "cafe\u0301"], [[1.0], [2.0]], "duplicate"),
        (["1"], [[1.0], [2.0]], r"\[n, dim\]"),
        (["1"], [1.0], r"\[n, dim\]"),
        (["1"], [["x"]], "expected numbers"),
    ],
)
def test_invalid_arrays_raise(features, ids, values, reason):
    with pytest.raises(CorpusError, match=reason):
        features(ids, values)


def npz_of_objects():
    buffer = io.BytesIO()
    np.savez(buffer, ids=np.array([object()]), features=np.ones((1, 1)))
    return buffer.getvalue()


def single_array():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", npz_of_objects(), single_array()])
def test_an_invalid_npz_raises(tmp_path, content):
    path = tmp_path / "features.npz"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="ids"):
        FeatureFile(path)


def damaged_npz(path, member, content):
    np.savez(path, ids=np.array(["a"]), features=np.ones((1, 2)))
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files[member] = content(files[member])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "content",
    [
        lambda array: b"not an array",
        lambda array: array.replace(b"}", b" "),  # the header is a Python literal
        lambda array: array.replace(b"(1, 2)", b"(1, 1" + 13 * b"0" + b")"),
        lambda array: array[:-1],
    ],
    ids=["bytes", "header", "huge shape", "truncated"],
)
def test_a_damaged_array_raises(tmp_path, content):
    damaged_npz(tmp_path / "features.npz", "features.npy", content)
    with pytest.raises(CorpusError, match=r"features\.npz.*ids"):
        FeatureFile(tmp_path / "features.npz")


@pytest.mark.parametrize("character", [0x110000, 0xD800])
def test_ids_with_invalid_code_points_raise(tmp_path, character):
    codes = character.to_bytes(4, "little")
    damaged_npz(tmp_path / "features.npz", "ids.npy", lambda array: array[:-4] + codes)
    with pytest.raises(CorpusError, match="invalid Unicode"):
        FeatureFile(tmp_path / "features.npz")


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text(
        "17.06.jpg\ta cat\twith a hat \r\n\n2\t\ncafé\teine Katze 猫\n", encoding="utf-8"
    )
    return CaptionFile(path)


@pytest.mark.parametrize(
    ("reference", "caption"),
    [
        ("17.06", "a cat\twith a hat"),
        ("17.06.png", "a cat\twith a hat"),
        ("café.jpg", "eine Katze 猫"),
    ],
)
def test_a_caption_is_found_with_and_without_extension(captions, reference, caption):
    assert captions.find(reference) == caption


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (" a.jpg \tcap\nb\tother\n", {"a.jpg": "cap", "b": "other"}),
        ("a\tcap\rb\tother\r", {"a": "cap", "b": "other"}),
        ("a\tcap\r\nb\tother\r\n", {"a": "cap", "b": "other"}),
        ("a\tcap\nb\tother\na \t cap\n", {"a": "cap", "b": "other"}),
        ("cafe\u0301\tcap\ncafé\tcap\n", {"café": "cap", "cafe\u0301.jpg": "cap"}),
    ],
)
def test_white_space_line_ends_and_repeated_lines_are_accepted(tmp_path, content, expected):
    (tmp_path / "captions.tsv").write_bytes(content.encode())
    captions = CaptionFile(tmp_path / "captions.tsv")
    assert {name: captions.find(name) for name in expected} == expected


@pytest.mark.parametrize(("reference", "reason"), [("3", "not found"), ("2", "empty")])
def test_missing_and_empty_captions_are_not_found(captions, reference, reason):
    with pytest.raises(ImageNotFound, match=reason):
        captions.find(reference)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1\ta\n2 b\n", "line 2: expected id<TAB>caption"),
        ("1\ta\r2 b\r", "line 2: expected id<TAB>caption"),
        ("1\ta\n \tb\n", "line 2: expected id<TAB>caption"),
        ("1\ta\n1\tb\n", "duplicate id 1"),
        ("1\ta\n1 \tb\n", "duplicate id 1"),
        ("café\ta\ncafe\u0301\tb\n", "duplicate id café"),
        (b"1\t\xff\n", "UTF-8"),
    ],
)
def test_an_invalid_caption_file_raises(tmp_path, content, reason):
    path = tmp_path / "captions.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CorpusError, match=reason):
        CaptionFile(path)


def test_a_missing_caption_file_raises(tmp_path):
    with pytest.raises(CorpusError, match=r"no file .*--captions"):
        CaptionFile(tmp_path / "gone.tsv")
