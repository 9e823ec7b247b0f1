from __future__ import annotations

import os
import pickle
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.errors import ImageError
from spacy_mner.images.reference import BytesImage, open_image
from spacy_mner.images.safety.limits import Limits
from spacy_mner.images.safety.untrusted_references import BulkImages, FolderImages
from spacy_mner.images.safety.web_images import WebImages

from ..samples import content, noise

PNG = content(Image.fromarray(noise()), "PNG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with an image and a sub-folder with another, beside a secret one."""
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
def test_a_path_below_the_folder_is_an_image(root, reference):
    image = FolderImages(root).open(reference)
    assert image.digest == open_image(PNG, None).digest
    assert np.array_equal(image.pixels(), noise())


@pytest.mark.parametrize(
    "reference",
    ["../secret.png", "day/../../secret.png", "day/../snap.png", "..", "../root/snap.png",
     "..\\secret.png", "day\\..\\..\\secret.png", "/etc/passwd", "//host/share/a.png",
     "\\\\host\\share\\a.png", "\\\\?\\C:\\a.png", "C:\\a.png", "C:a.png", "c:/a.png"],
)  # fmt: skip
def test_a_path_that_leads_out_is_refused(root, reference):
    assert reason(root, reference).startswith("leads out of the image folder: ")


def test_even_an_absolute_path_below_the_folder_is_refused(root):
    assert reason(root, str(root / "snap.png")).startswith("leads out of the image folder")


@pytest.mark.parametrize(
    "reference",
    ["https://example.org/a.png", "HTTP://example.org/a.png", "file:///etc/passwd",
     "ftp://example.org/a.png", "data:image/png;base64,iVBORw0KGgo="],
)  # fmt: skip
def test_a_url_is_no_path(root, reference):
    assert reason(root, reference) == "a URL, not a path below the image folder"


def test_even_a_file_that_is_called_like_a_data_uri_is_no_path(root):
    (root / "data:x.png").write_bytes(PNG)
    assert reason(root, "data:x.png") == "a URL, not a path below the image folder"


@pytest.mark.parametrize("reference", [5, None, b"snap.png", Path("snap.png"), ["snap.png"], {}])
def test_what_is_no_string_is_no_path(root, reference):
    assert reason(root, reference).startswith("not a path")


@pytest.mark.parametrize(
    "reference, words",
    [
        ("", "not the name of a file"),
        (".", "not the name of a file"),
        ("snap.png\0.jpg", "not the name of a file"),
        ("\0", "not the name of a file"),
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
def test_what_names_no_file_is_refused_with_a_reason(root, reference, words):
    assert words in reason(root, reference)


def test_a_symlink_that_leads_out_is_refused(root):
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "relative.png").symlink_to("../secret.png")
    (root / "folder").symlink_to(root.parent)
    (root / "twice.png").symlink_to("link.png")
    for reference in ("link.png", "relative.png", "folder/secret.png", "twice.png"):
        assert reason(root, reference).startswith("leads out of the image folder")


def test_a_symlink_that_stays_below_the_folder_is_followed(root):
    (root / "link.png").symlink_to("day/snap.png")
    (root / "folder").symlink_to(root / "day")
    for reference in ("link.png", "folder/snap.png"):
        assert FolderImages(root).open(reference).pixels().shape == (40, 60, 3)


def test_the_folder_itself_may_be_a_symlink(root):
    (root.parent / "alias").symlink_to(root)
    assert FolderImages(root.parent / "alias").open("snap.png").pixels().shape == (40, 60, 3)


def test_a_folder_whose_name_only_begins_like_the_root_is_outside(root):
    (root.parent / "root2").mkdir()
    (root.parent / "root2" / "a.png").write_bytes(PNG)
    (root / "link.png").symlink_to(root.parent / "root2" / "a.png")
    assert reason(root, "link.png").startswith("leads out")


def test_symlinks_in_a_circle_are_no_file(root):
    (root / "a.png").symlink_to("b.png")
    (root / "b.png").symlink_to("a.png")
    assert reason(root, "a.png").startswith("no such file")


def test_a_fifo_is_no_image_and_nobody_waits_for_it(root):
    os.mkfifo(root / "fifo.png")
    assert reason(root, "fifo.png") == "not a file: fifo.png"


def test_a_socket_is_no_image(root, monkeypatch):
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert reason(root, "socket.png") == "not a file: socket.png"


def test_a_device_is_no_image():
    assert reason(Path("/dev"), "zero") == "not a file: zero"


def test_a_file_that_may_not_be_read_is_a_reason(root):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (root / "snap.png").chmod(0)
    assert reason(root, "snap.png").startswith("cannot be read")


def test_a_file_that_is_swapped_for_a_link_to_another_is_not_read(root):
    image = FolderImages(root).open("snap.png")
    (root / "snap.png").unlink()
    (root / "snap.png").symlink_to(root.parent / "secret.png")
    with pytest.raises(ImageError, match="changed while it was read"):
        image.pixels()


def test_a_file_that_is_swapped_for_a_fifo_is_not_waited_for(root):
    image = FolderImages(root).open("snap.png")
    (root / "snap.png").unlink()
    os.mkfifo(root / "snap.png")
    with pytest.raises(ImageError, match="changed while it was read"):
        _ = image.digest


def test_a_way_that_is_bent_while_it_is_judged_is_refused(root, monkeypatch):
    def bend(path, **options):
        result = realpath(path, **options)
        if str(path).endswith("snap.png"):
            (root / "snap.png").unlink()
            (root / "snap.png").symlink_to(root.parent / "secret.png")
        return result

    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", bend)
    assert "changed while it was read" in reason(root, "snap.png")


def test_a_file_that_grows_is_never_read_beyond_its_size(root):
    image = FolderImages(root).open("snap.png")
    with (root / "snap.png").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match="changed while it was read"):
        image.pixels()


def test_a_file_beyond_the_limits_is_refused_unread(root):
    with (root / "film.png").open("wb") as file:
        file.truncate(20_000_001)
    assert reason(root, "film.png").startswith("too large: 20,000,001 bytes")


def test_a_file_of_a_format_that_nobody_posts_is_refused(root):
    (root / "snap.png").write_bytes(content(Image.fromarray(noise()), "TGA"))
    assert reason(root, "snap.png") == "not an image"


def test_a_source_may_have_limits_of_its_own(root):
    with pytest.raises(ImageError, match="too large: 60 x 40"):
        FolderImages(root, Limits(bytes=1 << 20, pixels=100)).open("snap.png").pixels()


class NoWeb:
    """Stands in for the web: every URL is the same image."""

    def open(self, reference: str) -> BytesImage:
        return BytesImage(PNG + reference.encode())


def test_urls_go_to_the_web_and_all_else_to_the_folder(root):
    images = BulkImages(root, NoWeb())  # type: ignore[arg-type]
    assert isinstance(images.open("HTTPS://example.org/a.png"), BytesImage)
    assert images.open("snap.png").pixels().shape == (40, 60, 3)
    with pytest.raises(ImageError, match="a URL, not a path"):
        images.open("file:///etc/passwd")


def test_urls_are_refused_unless_they_are_allowed(root):
    with pytest.raises(ImageError, match="a URL: --allow-urls fetches such images"):
        BulkImages(root, None).open("http://example.org/a.png")


def test_paths_are_refused_without_a_folder():
    for reference in ("snap.png", "/etc/passwd"):
        with pytest.raises(ImageError, match="no --images-root is given"):
            BulkImages(None, None).open(reference)


def test_sources_and_what_they_opened_go_to_worker_processes(root):
    images = pickle.loads(pickle.dumps(BulkImages(root, WebImages())))
    image = pickle.loads(pickle.dumps(images.open("snap.png")))
    assert np.array_equal(image.pixels(), noise())


def test_what_a_source_gave_stands_for_an_image(root):
    image = FolderImages(root).open("snap.png")
    assert open_image(image, None) is image
    with pytest.raises(ImageError, match="why not"):
        open_image(ImageError("why not"), None)


def test_a_source_serves_many_threads(root):
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
