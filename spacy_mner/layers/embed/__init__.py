"""Embed: vectors of one modality from its features.

An embedder is called with its features and the lengths of the posts (int64 [n_posts], on the CPU),
and returns `TokenVectors` or `RegionVectors` of its attribute `width`. One with pretrained weights
returns them from `pretrained_parameters()`.
"""

from .augmentation import SemanticAugmentation
from .characters import CharBiLSTM, CharCNN
from .image import ImageEmbedding
from .image_text_match import ImageTextMatch
from .objects import ObjectEmbedding
from .stored_vectors import StoredVectors
from .tok2vec import Tok2VecEmbedding
from .transformer import TransformerEmbedding
from .words import WordVectors

__all__ = [
    "CharBiLSTM",
    "CharCNN",
    "ImageEmbedding",
    "ImageTextMatch",
    "ObjectEmbedding",
    "SemanticAugmentation",
    "StoredVectors",
    "Tok2VecEmbedding",
    "TransformerEmbedding",
    "WordVectors",
]
