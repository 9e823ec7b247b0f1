"""Named entities in short posts, found with the picture that comes with the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from . import extensions
from .about import __version__
from .registries import image_encoders

__all__ = ["__version__", "image_encoders", "posts"]

extensions.register()


def posts(nlp: Language, pairs: Iterable[tuple[str, Any]]) -> Iterator[Doc]:
    """Turn (text, image) pairs into Docs for `nlp.pipe`.

    image: anything `doc._.image` takes, or None for a post without a picture.
    """
    for text, image in pairs:
        doc = nlp.make_doc(text)
        doc._.image = image
        yield doc
