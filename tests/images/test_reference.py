from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.errors import ImageError
from spacy_mner.images import reference as module
from spacy_mner.images.data_uris import encode_data_uri
from spacy_mner.images.reference import open_image, references
from spacy_mner.images.safety.limits import TRUSTED

from .samples import content, noise

PNG = content(Image.fromarray(noise()), "PNG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "snap.png").write_bytes(PNG)
    return tmp_path


@pytest.mark.parametrize("kind", ["str", "Path", "bytes", "memoryview", "data URI", "PIL", "array"])
def test_all_types_of_references_have_the_same_pixels(root, kind):
    given = {
        "str": str(root / "snap.png"),
        "Path": root / "snap.png",
        "bytes": PNG,
        "memoryview": memoryview(PNG),
        "data URI": encode_data_uri(PNG),
        "PIL": Image.open(root / "snap.png"),
        "array": noise(),
    }[kind]
    assert np.array_equal(open_image(given, None).pixels(), noise())


def test_a_relative_path_is_relative_to_the_root_or_the_working_directory(root, monkeypatch):
    monkeypatch.chdir(root)
    opened = [
        open_image("snap.png", root),
        open_image(Path("snap.png"), None),
        open_image(str(root / "snap.png"), root / "elsewhere"),
    ]
    monkeypatch.chdir("/")
    for image in opened:
        assert image.digest == open_image(PNG, None).digest
        assert np.array_equal(image.pixels(), noise())


def test_the_digest_depends_on_the_content_and_not_on_the_file_name(root):
    (root / "copy.jpg").write_bytes(PNG)
    (root / "other.png").write_bytes(content(Image.fromarray(noise(seed=1)), "PNG"))
    digests = {n: open_image(n, root).digest for n in ("snap.png", "copy.jpg", "other.png")}
    assert digests["snap.png"] == digests["copy.jpg"] != digests["other.png"]
    assert np.array_equal(open_image("copy.jpg", root).pixels(), noise())


def test_the_digest_of_an_array_depends_on_its_shape():
    flat = np.zeros((2, 8, 3), np.uint8)
    tall = np.zeros((8, 2, 3), np.uint8)
    assert open_image(flat, None).digest == open_image(flat.copy(), None).digest
    assert open_image(flat, None).digest != open_image(tall, None).digest


def test_a_file_is_read_once_for_its_digest_until_it_changes(root, monkeypatch):
    reads = []
    real = module._read
    monkeypatch.setattr(module, "_read", lambda *file: reads.append(file) or real(*file))
    first = open_image("snap.png", root).digest
    assert open_image("snap.png", root).digest == first
    assert len(reads) == 1

    (root / "snap.png").write_bytes(content(Image.fromarray(noise(seed=1)), "PNG"))
    os.utime(root / "snap.png", (1, 1))
    assert open_image("snap.png", root).digest != first


def test_a_file_that_changes_between_digest_and_pixels_is_rejected(root):
    image = open_image("snap.png", root)
    assert image.digest
    (root / "snap.png").write_bytes(content(Image.fromarray(noise(seed=1)), "PNG"))
    with pytest.raises(ImageError, match=r"changed while it was read: .*snap\.png"):
        image.pixels()


def test_a_file_that_was_deleted_is_an_image_error(root):
    image = open_image("snap.png", root)
    (root / "snap.png").unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        _ = image.digest


@pytest.mark.parametrize(
    "given, words",
    [
        ("nope.jpg", "no such file: nope.jpg"),
        ("snap.png/inside.jpg", "no such file: snap.png/inside.jpg"),
        (".", "not a file"),
        ("", "an empty path"),
        ("a\0b", "no such file"),
        ("x" * 5000, "no such file: …xxx"),
        (os.devnull, "not a file"),
        (5, "not an image: int"),
        ("data:image/png,x", "a data URI without base64 data"),
        ({"path": "snap.png"}, "not an image: dict"),
        (np.zeros((3, 3)), "not an image: array of float64"),
    ],
)
def test_an_invalid_reference_is_rejected_with_a_short_reason(root, given, words):
    with pytest.raises(ImageError) as caught:
        open_image(given, root)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 160


def test_a_file_over_the_size_limit_is_rejected_without_reading(root):
    with (root / "large.jpg").open("wb") as file:
        file.truncate(TRUSTED.bytes + 1)
    with pytest.raises(ImageError, match="too large"):
        open_image("large.jpg", root)


def test_the_content_is_validated_when_it_is_decoded():
    image = open_image(PNG[:50], None)
    assert image.digest
    with pytest.raises(ImageError):
        image.pixels()


@pytest.mark.parametrize("given", [PNG, noise()], ids=["bytes", "array"])
def test_an_opened_image_can_be_pickled(given):
    image = open_image(given, None)
    copy = pickle.loads(pickle.dumps(image))
    assert copy.digest == image.digest
    assert np.array_equal(copy.pixels(), image.pixels())


def test_references_are_none_one_or_several():
    array = noise()
    assert references(None) == []
    assert references("a.jpg") == ["a.jpg"]
    assert references(["a.jpg", b"b"]) == ["a.jpg", b"b"]
    assert references(("a.jpg", None)) == ["a.jpg"]
    assert references([]) == []
    assert references(array)[0] is array
