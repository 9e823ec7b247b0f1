"""The host half of every modality: Docs in, arrays out. No gradients, no torch."""

from .base import Featurizer, Featurizers
from .characters import CharacterFeaturizer
from .pictures import PictureFeaturizer
from .transformer import TransformerFeaturizer
from .words import WordFeaturizer

__all__ = [
    "CharacterFeaturizer",
    "Featurizer",
    "Featurizers",
    "PictureFeaturizer",
    "TransformerFeaturizer",
    "WordFeaturizer",
]
