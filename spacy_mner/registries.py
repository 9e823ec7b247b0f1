"""The registry that spaCy does not have: `@image_encoders` in a config."""

from __future__ import annotations

import catalogue
from spacy.util import registry

image_encoders = catalogue.create("spacy", "image_encoders", entry_points=True)
registry.image_encoders = image_encoders  # type: ignore[attr-defined]  # not among spaCy's own
