"""The registered architecture of the match with image text."""

from __future__ import annotations

from functools import partial

from ..features import ImageTextMatchFeaturizer
from ..layers.embed import ImageTextMatch
from .tagger import Modality


def build_image_text_match(width: int = 150, dropout: float = 0.1) -> Modality:
    """Whether a token, alone or in a span, occurs in `doc._.image_text`; needs no transformer.

    Per token: equal, equal but for case, or similar; the case in the image text; the length of the
    match in tokens and characters; whether the token is its first one. Missing in a post without
    image text, which posts have from the start or the component `image_text` sets.

    width: of the output, per token.
    """
    embedder = partial(ImageTextMatch, width=width, dropout=dropout)
    return Modality("spacy_mner.ImageTextMatch.v1", ImageTextMatchFeaturizer(), embedder)
