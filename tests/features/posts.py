"""Posts with attributes."""

from __future__ import annotations

from typing import Any

import spacy
from spacy.tokens import Doc

NLP = spacy.blank("en")


def post(**attributes: Any) -> Doc:
    doc = NLP.make_doc("a post")
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc
