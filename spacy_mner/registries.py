"""The registries for `@image_encoders`, `@image_readers` and `@object_detectors`."""

from __future__ import annotations

import catalogue
from spacy.util import registry

image_encoders = catalogue.create("spacy", "image_encoders", entry_points=True)
image_readers = catalogue.create("spacy", "image_readers", entry_points=True)
object_detectors = catalogue.create("spacy", "object_detectors", entry_points=True)
registry.image_encoders = image_encoders  # type: ignore[attr-defined]  # not among spaCy's own
registry.image_readers = image_readers  # type: ignore[attr-defined]
registry.object_detectors = object_detectors  # type: ignore[attr-defined]
