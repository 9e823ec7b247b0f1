"""The pretrained pipelines that are in the repository."""

from __future__ import annotations

import json
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import spacy

from spacy_mner import make_docs

ROOT = Path(__file__).parents[2]
WHEELS = sorted((ROOT / "pipelines").glob("*.whl"))
# Megabytes.
MAX_SIZE = {"en_mner_social_sm": 15, "en_mner_social_trf": 60}


def name_of(wheel: Path) -> str:
    return wheel.name.partition("-")[0]


@pytest.fixture(scope="module", params=WHEELS, ids=name_of)
def wheel(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def folder(wheel, tmp_path_factory) -> Path:
    """The pipeline in a wheel, unpacked."""
    target = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return next(target.glob("*/*/config.cfg")).parent


def test_there_is_one_wheel_per_pipeline():
    assert WHEELS
    assert len({name_of(wheel) for wheel in WHEELS}) == len(WHEELS)


def test_a_wheel_is_small(wheel):
    assert wheel.stat().st_size <= MAX_SIZE[name_of(wheel)] * 1e6


def test_a_wheel_requires_the_package_without_an_upper_bound(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("dist-info/METADATA")]
        message = Parser().parsestr(archive.read(metadata).decode())
    [requirement] = [r for r in message.get_all("Requires-Dist") if r.startswith("spacy-mner")]
    assert ">=" in requirement
    assert "<" not in requirement


def test_a_wheel_holds_no_strings_of_its_training_posts(folder):
    assert json.loads((folder / "vocab" / "strings.json").read_text("utf-8")) == []


def test_entities_of_real_posts_are_found_offline(folder):
    nlp = spacy.load(folder)
    posts = [
        {"text": "Justin Bieber at Madison Square Garden tonight"},
        {"text": "Obama visited Paris with the Microsoft CEO #NewYork @Nike"},
    ]
    found = [{(e.text, e.label_) for e in doc.ents} for doc in nlp.pipe(make_docs(nlp, posts))]
    assert {("Justin Bieber", "PER"), ("Madison Square Garden", "LOC")} <= found[0]
    assert {("Obama", "PER"), ("Microsoft", "ORG")} <= found[1]
    assert "@Nike" not in {text for text, _ in found[1]}
