"""Folders as bytes, and bytes that would write outside of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import srsly

from spacy_mner.utils.folder_bytes import bytes_to_folder, folder_to_bytes


def test_a_folder_has_the_same_files_after_a_round_trip(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "deep" / "deeper").mkdir(parents=True)
    (one / "a.json").write_bytes(b"{}")
    (one / "deep" / "deeper" / "b").write_bytes(bytes(range(256)))
    two.mkdir()
    bytes_to_folder(folder_to_bytes(one), two)
    assert (two / "a.json").read_bytes() == b"{}"
    assert (two / "deep" / "deeper" / "b").read_bytes() == bytes(range(256))
    assert folder_to_bytes(two) == folder_to_bytes(one)


@pytest.mark.parametrize("name", ["../escaped", "{root}/escaped", "deep/../../escaped", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_an_error(name, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    data = srsly.msgpack_dumps({name.format(root=tmp_path): b"x"})
    with pytest.raises(ValueError):
        bytes_to_folder(data, folder)
    assert [*tmp_path.rglob("*")] == [folder]


@pytest.mark.parametrize("content", [{"a": None}, {5: b"x"}, [1, 2], 3])
def test_bytes_of_another_thing_are_an_error(content, tmp_path: Path):
    with pytest.raises((TypeError, AttributeError)):
        bytes_to_folder(srsly.msgpack_dumps(content), tmp_path)
