"""Embed: from the features of one modality to vectors of one width.

An embedder is called with its features and the lengths of the posts (int64 [n_posts], on the CPU),
and bears the `width` of what it returns.
"""

from .augmentation import SemanticAugmentation
from .characters import CharBiLSTM, CharCNN
from .image import ImageEmbedding
from .objects import ObjectEmbedding
from .tok2vec import Tok2VecEmbedding
from .transformer import TransformerEmbedding
from .words import WordVectors

__all__ = [
    "CharBiLSTM",
    "CharCNN",
    "ImageEmbedding",
    "ObjectEmbedding",
    "SemanticAugmentation",
    "Tok2VecEmbedding",
    "TransformerEmbedding",
    "WordVectors",
]
