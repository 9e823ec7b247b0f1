"""Posts with attributes, and featurizers that are initialized with posts."""

from __future__ import annotations

from typing import Any, TypeVar

import spacy
from spacy.tokens import Doc

from spacy_mner.features import Featurizer

AnyFeaturizer = TypeVar("AnyFeaturizer", bound=Featurizer)
NLP = spacy.blank("en")


def post(**attributes: Any) -> Doc:
    doc = NLP.make_doc("a post")
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def initialize(featurizer: AnyFeaturizer, *docs: Doc) -> AnyFeaturizer:
    for doc in docs:
        featurizer.update_vocab(doc)
    featurizer.finalize()
    return featurizer
