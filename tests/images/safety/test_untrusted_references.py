from __future__ import annotations

import base64
import os
import pickle
import socket
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.errors import ImageError
from spacy_mner.images.data_uris import encode_data_uri
from spacy_mner.images.reference import BytesImage, open_image
from spacy_mner.images.safety.limits import UNTRUSTED, Limits
from spacy_mner.images.safety.untrusted_references import BulkImages, FolderImages
from spacy_mner.images.safety.web_images import WebImages

from ..samples import content, noise, png_header

PNG = content(Image.fromarray(noise()), "PNG")
URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two images, and an image outside it."""
    (tmp_path / "root" / "day").mkdir(parents=True)
    (tmp_path / "root" / "snap.png").write_bytes(PNG)
    (tmp_path / "root" / "day" / "snap.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    return tmp_path / "root"


def reason(root: Path, reference: object) -> str:
    with pytest.raises(ImageError) as caught:
        FolderImages(root).open(reference).pixels()  # type: ignore[arg-type]
    assert len(str(caught.value)) < 160 and str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("reference", ["snap.png", "./snap.png", "day/snap.png", "day\\snap.png"])
def test_a_path_below_the_folder_is_opened(root, reference):
    image = FolderImages(root).open(reference)
    assert image.digest == open_image(PNG, None).digest
    assert np.array_equal(image.pixels(), noise())


@pytest.mark.parametrize(
    "reference",
    ["../secret.png", "day/../../secret.png", "day/../snap.png", "..", "../root/snap.png",
     "..\\secret.png", "day\\..\\..\\secret.png", "/etc/passwd", "//host/share/a.png",
     "\\\\host\\share\\a.png", "\\\\?\\C:\\a.png", "C:\\a.png", "C:a.png", "c:/a.png"],
)  # fmt: skip
def test_path_traversal_is_rejected(root, reference):
    assert reason(root, reference).startswith("outside the image folder: ")


def test_an_absolute_path_below_the_folder_is_rejected(root):
    assert reason(root, str(root / "snap.png")).startswith("outside the image folder")


@pytest.mark.parametrize(
    "reference",
    ["https://example.org/a.png", "HTTP://example.org/a.png", "file:///etc/passwd",
     "ftp://example.org/a.png", "data:image/png;base64,iVBORw0KGgo="],
)  # fmt: skip
def test_a_url_is_rejected(root, reference):
    assert reason(root, reference) == "a URL: expected a path below the image folder"


def test_a_file_name_that_looks_like_a_data_uri_is_rejected(root):
    (root / "data:x.png").write_bytes(PNG)
    assert reason(root, "data:x.png") == "a URL: expected a path below the image folder"


@pytest.mark.parametrize(
    "reference",
    [PNG, URI, {"bytes": PNG, "path": "/etc/passwd"}, {"bytes": URI}, {"bytes": None, "path": URI},
     {"path": "snap.png"}],
)  # fmt: skip
def test_bytes_and_data_uris_are_images(root, reference):
    images = BulkImages(root, None)
    assert images.open(reference).digest == images.open("snap.png").digest
    assert images.open(reference).limits == UNTRUSTED


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (5, "not a path"),
        (None, "not a path"),
        (Path("snap.png"), "not a path"),
        (["snap.png"], "not a path"),
        ({}, "neither bytes nor a path"),
        ({"bytes": None, "path": None}, "neither bytes nor a path"),
        ({"bytes": 5, "path": "snap.png"}, "neither bytes nor a path"),
        ({"bytes": "snap.png"}, "not a data URI"),
        ({"bytes": None, "path": "../secret.png"}, "outside the image folder"),
        ({"bytes": None, "path": "https://example.org/a.png"}, "--allow-urls"),
        ({"url": "snap.png", "path": "snap.png"}, "'url'"),
        ({f"\x1b{i}": 0 for i in range(1000)}, "expected 'bytes' and 'path'"),
        ("data:image/png,%89PNG", "without base64"),
        ("data:image/png;base64", "without base64"),
        ("data:;base64,iVBORw0KGgo", "damaged"),
        ("data:;base64,iVBO Rw0K", "damaged"),
        ("data:;base64,é", "damaged"),
        ("DATA:;BASE64,", "empty file"),
        (b"", "empty file"),
        (b"x" * 4001, "too large: 4,001 bytes"),
        (encode_data_uri(b"x" * 4001), "too large: 4,001 bytes"),
        ({"bytes": b"x" * 4001}, "too large: 4,001 bytes"),
        (png_header(1000, 1000), "too large: 1000 x 1000"),
        (content(Image.fromarray(noise()), "TGA"), "too large"),
    ],
)
def test_other_references_are_rejected(root, reference, message):
    limits = replace(UNTRUSTED, bytes=4_000, pixels=10_000)
    with pytest.raises(ImageError, match=message) as caught:
        BulkImages(root, None, limits).open(reference).pixels()
    assert len(str(caught.value)) < 160 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "reference, words",
    [
        ("", "not a file name"),
        (".", "not a file name"),
        ("snap.png\0.jpg", "not a file name"),
        ("\0", "not a file name"),
        ("day", "not a file: day"),
        ("gone.png", "no such file: gone.png"),
        ("snap.png/inside.png", "no such file"),
        ("x" * 5_000, "no such file: …x"),
        ("a/" * 5_000 + "b", "no such file: …"),
        ("\ud800.png", "no such file"),
        ("~/a.png", "no such file"),
        ("$HOME/a.png", "no such file"),
        ("\x1b[31mred\n.png", "no such file"),
    ],
)
def test_a_path_without_a_file_is_rejected_with_the_reason(root, reference, words):
    assert words in reason(root, reference)


def test_a_symlink_to_outside_the_folder_is_rejected(root):
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "relative.png").symlink_to("../secret.png")
    (root / "folder").symlink_to(root.parent)
    (root / "twice.png").symlink_to("link.png")
    for reference in ("link.png", "relative.png", "folder/secret.png", "twice.png"):
        assert reason(root, reference).startswith("outside the image folder")


def test_a_symlink_within_the_folder_is_followed(root):
    (root / "link.png").symlink_to("day/snap.png")
    (root / "folder").symlink_to(root / "day")
    for reference in ("link.png", "folder/snap.png"):
        assert FolderImages(root).open(reference).pixels().shape == (40, 60, 3)


def test_the_folder_itself_may_be_a_symlink(root):
    (root.parent / "alias").symlink_to(root)
    assert FolderImages(root.parent / "alias").open("snap.png").pixels().shape == (40, 60, 3)


def test_a_folder_whose_name_starts_with_that_of_the_root_is_outside(root):
    (root.parent / "root2").mkdir()
    (root.parent / "root2" / "a.png").write_bytes(PNG)
    (root / "link.png").symlink_to(root.parent / "root2" / "a.png")
    assert reason(root, "link.png").startswith("outside the image folder")


def test_cyclic_symlinks_are_rejected(root):
    (root / "a.png").symlink_to("b.png")
    (root / "b.png").symlink_to("a.png")
    assert reason(root, "a.png").startswith("no such file")


def test_a_fifo_is_rejected_without_blocking(root):
    os.mkfifo(root / "fifo.png")
    assert reason(root, "fifo.png") == "not a file: fifo.png"


def test_a_socket_is_rejected(root, monkeypatch):
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert reason(root, "socket.png") == "not a file: socket.png"


def test_a_device_is_rejected():
    assert reason(Path("/dev"), "zero") == "not a file: zero"


def test_a_file_without_read_permission_is_rejected(root):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (root / "snap.png").chmod(0)
    assert reason(root, "snap.png").startswith("cannot be read")


def test_a_file_replaced_by_a_symlink_after_the_check_is_not_read(root):
    image = FolderImages(root).open("snap.png")
    (root / "snap.png").unlink()
    (root / "snap.png").symlink_to(root.parent / "secret.png")
    with pytest.raises(ImageError, match="changed while it was read"):
        image.pixels()


def test_a_file_replaced_by_a_fifo_after_the_check_does_not_block(root):
    image = FolderImages(root).open("snap.png")
    (root / "snap.png").unlink()
    os.mkfifo(root / "snap.png")
    with pytest.raises(ImageError, match="changed while it was read"):
        _ = image.digest


def test_a_symlink_swapped_in_during_the_check_is_rejected(root, monkeypatch):
    def swap(path, **options):
        result = realpath(path, **options)
        if str(path).endswith("snap.png"):
            (root / "snap.png").unlink()
            (root / "snap.png").symlink_to(root.parent / "secret.png")
        return result

    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", swap)
    assert "changed while it was read" in reason(root, "snap.png")


def test_a_file_that_grows_is_not_read_beyond_its_checked_size(root):
    image = FolderImages(root).open("snap.png")
    with (root / "snap.png").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match="changed while it was read"):
        image.pixels()


def test_a_file_over_the_size_limit_is_rejected_without_reading(root):
    with (root / "large.png").open("wb") as file:
        file.truncate(20_000_001)
    assert reason(root, "large.png").startswith("too large: 20,000,001 bytes")


def test_uncommon_formats_are_rejected(root):
    (root / "snap.png").write_bytes(content(Image.fromarray(noise()), "TGA"))
    assert reason(root, "snap.png").startswith("not an image: expected AVIF, BMP, ")


def test_limits_can_be_set(root):
    with pytest.raises(ImageError, match="too large: 60 x 40"):
        FolderImages(root, Limits(bytes=1 << 20, pixels=100)).open("snap.png").pixels()


class FakeWeb:
    """Fakes WebImages: every URL is the same image."""

    def open(self, reference: str) -> BytesImage:
        return BytesImage(PNG + reference.encode())


def test_urls_are_fetched_and_paths_are_opened_below_the_folder(root):
    images = BulkImages(root, FakeWeb())  # type: ignore[arg-type]
    assert isinstance(images.open("HTTPS://example.org/a.png"), BytesImage)
    assert images.open("snap.png").pixels().shape == (40, 60, 3)
    with pytest.raises(ImageError, match="a URL: "):
        images.open("file:///etc/passwd")


def test_urls_are_rejected_unless_allowed(root):
    with pytest.raises(ImageError, match="--allow-urls"):
        BulkImages(root, None).open("http://example.org/a.png")


def test_paths_are_rejected_without_a_folder():
    for reference in ("snap.png", "/etc/passwd"):
        with pytest.raises(ImageError, match="--images-root"):
            BulkImages(None, None).open(reference)


def test_openers_and_opened_images_can_be_pickled(root):
    images = pickle.loads(pickle.dumps(BulkImages(root, WebImages())))
    image = pickle.loads(pickle.dumps(images.open("snap.png")))
    assert np.array_equal(image.pixels(), noise())


def test_an_opened_image_or_its_error_is_a_valid_reference(root):
    image = FolderImages(root).open("snap.png")
    assert open_image(image, None) is image
    with pytest.raises(ImageError, match="why not"):
        open_image(ImageError("why not"), None)


def test_an_opener_is_thread_safe(root):
    found = []
    images = FolderImages(root)
    threads = [
        threading.Thread(target=lambda: found.append(images.open("snap.png").digest))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [open_image(PNG, None).digest] * 8
