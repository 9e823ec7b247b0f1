"""Files in archives of Qt resources, written here by hand."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "assets"
FILES = {"a.png": b"plain", "b.png": b"compressed" * 9}


def archive(version: int) -> bytes:
    """An archive with the folder `images`, which has FILES; the second is compressed."""
    names = contents = b""
    nodes = []
    for name, (flags, first) in {"": (2, (1, 1)), "images": (2, (2, 2))}.items():
        nodes.append(struct.pack(">IH2I", len(names), flags, *first))
        names += name_entry(name)
    for name, content in FILES.items():
        flags = int(name == "b.png")
        if flags:
            content = struct.pack(">I", len(content)) + zlib.compress(content)
        nodes.append(struct.pack(">I3HI", len(names), flags, 0, 0, len(contents)))
        names += name_entry(name)
        contents += struct.pack(">I", len(content)) + content
    tree = b"".join(node + bytes(8 * (version > 1)) for node in nodes)
    header = 24 if version > 2 else 20
    starts = header, header + len(tree), header + len(tree) + len(contents)
    head = b"qres" + struct.pack(">4I", version, *starts) + bytes(header - 20)
    return head + tree + contents + names


def name_entry(name: str) -> bytes:
    return struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")


@pytest.fixture
def qt_resources(monkeypatch):
    monkeypatch.syspath_prepend(str(ASSETS))
    import qt_resources

    return qt_resources


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_an_archive_is_read(qt_resources, tmp_path, version, name):
    (tmp_path / "x.rcc").write_bytes(archive(version))
    path = tmp_path / "x.rcc" / "images" / name
    assert qt_resources.open_packaged(path).read() == FILES[name]


def test_a_file_outside_of_archives_is_read(qt_resources, tmp_path):
    (tmp_path / "a.png").write_bytes(b"plain")
    assert qt_resources.open_packaged(tmp_path / "a.png").read() == b"plain"


@pytest.mark.parametrize("path", ["images", "images/c.png", "other/a.png"])
def test_an_absent_file_of_an_archive_is_an_error(qt_resources, tmp_path, path):
    (tmp_path / "x.rcc").write_bytes(archive(2))
    with pytest.raises(FileNotFoundError):
        qt_resources.open_packaged(tmp_path / "x.rcc" / path)
