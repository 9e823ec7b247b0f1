"""The entry points register exactly the names that configs use."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from spacy.util import registry

import spacy_mner  # noqa: F401 - makes the registries that spaCy does not have

REGISTRIES = {
    "spacy_architectures": "architectures",
    "spacy_callbacks": "callbacks",
    "spacy_image_encoders": "image_encoders",
    "spacy_image_readers": "image_readers",
    "spacy_object_detectors": "object_detectors",
    "spacy_readers": "readers",
    "spacy_scorers": "scorers",
    "thinc_optimizers": "optimizers",
}
OURS = [
    (group, point.name)
    for group in REGISTRIES
    for point in entry_points(group=group)
    if point.name.startswith("spacy_mner.")
]


def test_there_are_entry_points_in_every_registry():
    assert {group for group, _ in OURS} == set(REGISTRIES)


@pytest.mark.parametrize("group, name", OURS)
def test_an_entry_point_is_the_function_registered_under_its_name(group, name):
    point = next(p for p in entry_points(group=group) if p.name == name)
    assert registry.get(REGISTRIES[group], name) is point.load()


def test_no_builder_is_registered_beside_the_entry_points():
    for group, registry_name in REGISTRIES.items():
        ours = {name for name in getattr(registry, registry_name).get_all() if "spacy_mner" in name}
        assert ours == {name for g, name in OURS if g == group}
