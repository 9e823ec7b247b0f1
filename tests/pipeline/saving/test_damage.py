"""Damaged or exchanged files of a saved component."""

from __future__ import annotations

import shutil

import pytest
import spacy
import srsly
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_mner.errors import LoadingError
from spacy_mner.pipeline import saving
from spacy_mner.pipeline.saving import FORMAT

from .pipelines import FILES, NAME, PARTS, answers, change_manifest, make_pipeline, table


def test_an_intact_pipeline_predicts_as_before(model, images, saved):
    made = make_pipeline(model, images, table())
    assert answers(spacy.load(saved)) == answers(made)
    again = spacy.util.load_model_from_config(made.config).from_bytes(made.to_bytes())
    assert answers(again) == answers(made)
    assert sorted(path.name for path in (saved / NAME).iterdir()) == FILES


@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_one_bit_flipped_anywhere_is_refused(saved, reader, tmp_path_factory, name, where, bit):
    folder = shutil.copytree(saved / NAME, tmp_path_factory.mktemp("flipped") / NAME)
    content = bytearray((folder / name).read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    (folder / name).write_bytes(content)
    with pytest.raises(LoadingError, match=f"{name} is not what was saved.*save it again"):
        reader.from_disk(folder, exclude=["vocab"])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999, 1.001])
def test_a_truncated_or_extended_file_is_refused(damaged, name, share):
    path = damaged / NAME / name
    content = path.read_bytes()
    end = int(share * len(content))
    path.write_bytes(content[:end] if share < 1 else content + b"\0")
    with pytest.raises(LoadingError, match=f"{name} is not what was saved"):
        spacy.load(damaged)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(damaged, name):
    (damaged / NAME / name).unlink()
    with pytest.raises(LoadingError, match=f"{name} is missing.*Copy the whole folder"):
        spacy.load(damaged)


def test_a_missing_component_is_named(damaged):
    shutil.rmtree(damaged / NAME)
    with pytest.raises(LoadingError, match=f"{NAME} holds no complete"):
        spacy.load(damaged)


@pytest.mark.parametrize("name", PARTS)
def test_a_file_of_another_model_of_the_same_shapes_is_refused(damaged, sister, name):
    shutil.copy(sister / NAME / name, damaged / NAME / name)
    with pytest.raises(LoadingError, match=f"{name} is not what was saved"):
        spacy.load(damaged)


def test_damaged_bytes_are_refused(reader):
    data = reader.to_bytes(exclude=["vocab"])
    for end in (0, 1, len(data) // 2, len(data) - 1):
        with pytest.raises(LoadingError, match="truncated or damaged"):
            reader.from_bytes(data[:end], exclude=["vocab"])
    for name in FILES:
        parts = srsly.msgpack_loads(data)
        flipped = bytes([parts[name][0] ^ 1]) + parts[name][1:]
        with pytest.raises(LoadingError, match=f"{name} is not what was saved"):
            reader.from_bytes(srsly.msgpack_dumps({**parts, name: flipped}), exclude=["vocab"])
        del parts[name]
        with pytest.raises(LoadingError, match=f"{name} is missing"):
            reader.from_bytes(srsly.msgpack_dumps(parts), exclude=["vocab"])
    reader.from_bytes(data, exclude=["vocab"])


def test_a_refused_file_changes_nothing(damaged, sister):
    nlp = spacy.load(sister)
    before = answers(nlp)
    path = damaged / NAME / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LoadingError):
        nlp.get_pipe(NAME).from_disk(damaged / NAME, exclude=["vocab"])
    assert answers(nlp) == before


@pytest.mark.parametrize(
    "version, remedy",
    [(1, "train the pipeline again"), (FORMAT + 1, "Install spacy-mner 9.0.0")],
)
def test_a_format_that_is_not_supported_is_refused_with_the_remedy(damaged, version, remedy):
    change_manifest(damaged / NAME, format=version, versions={"spacy-mner": "9.0.0"})
    with pytest.raises(LoadingError, match=remedy):
        spacy.load(damaged)


def test_a_pipeline_of_an_earlier_format_is_migrated(damaged, saved, monkeypatch):
    def to_next_format(manifest, contents):
        cfg = srsly.json_loads(contents["cfg"])
        cfg["labels"] = cfg.pop("entity_types")
        return manifest, {**contents, "cfg": srsly.json_dumps(cfg).encode()}

    expected = answers(spacy.load(saved))
    path = damaged / NAME / "cfg"
    cfg = srsly.read_json(path)
    cfg["entity_types"] = cfg.pop("labels")
    srsly.write_json(path, cfg)
    change_manifest(damaged / NAME, "cfg")
    monkeypatch.setattr(saving, "FORMAT", FORMAT + 1)
    monkeypatch.setitem(saving.MIGRATIONS, FORMAT, to_next_format)
    assert answers(spacy.load(damaged)) == expected


def test_a_component_that_was_saved_without_a_part_names_it(reader, tmp_path):
    reader.to_disk(tmp_path / "component", exclude=["vocab"])
    with pytest.raises(LoadingError, match=r'saved without vocab.*exclude=\["vocab"\]'):
        reader.from_disk(tmp_path / "component")
    reader.from_disk(tmp_path / "component", exclude=["vocab"])
