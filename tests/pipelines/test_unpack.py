from __future__ import annotations

import hashlib
import tarfile

import pytest

from unpack import unpack

CONTENT = b'{"words": []}'


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "vectors.json").write_bytes(CONTENT)
    (tmp_path / "packages").mkdir()
    with tarfile.open(tmp_path / "packages" / "name.tgz", "w:gz") as package:
        package.add(tmp_path / "vectors.json", "package/vectors.json")
    return tmp_path / "packages" / "name.tgz"


def test_the_file_is_written_next_to_the_package(archive):
    path = unpack(archive, "package/vectors.json", hashlib.sha256(CONTENT).hexdigest())
    assert path == archive.parent / "vectors.json" and path.read_bytes() == CONTENT


def test_a_file_with_another_checksum_is_not_written(archive):
    with pytest.raises(ValueError, match="SHA-256"):
        unpack(archive, "package/vectors.json", "0" * 64)
    assert list(archive.parent.iterdir()) == [archive]
