"""Named entities in short posts, found with the picture that comes with the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import catalogue
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import registry

from . import extensions
from .about import __version__

__all__ = ["__version__", "posts"]

extensions.register()

if not hasattr(registry, "image_encoders"):
    registry.image_encoders = catalogue.create("spacy", "image_encoders", entry_points=True)


def posts(nlp: Language, pairs: Iterable[tuple[str, Any]]) -> Iterator[Doc]:
    """Turn (text, image) pairs into Docs for `nlp.pipe`.

    image: anything `doc._.image` takes, or None for a post without a picture.
    """
    for text, image in pairs:
        doc = nlp.make_doc(text)
        doc._.image = image
        yield doc
