"""The host half of every modality: Docs in, arrays out. No gradients, no torch."""

from .base import Featurizer, Featurizers
from .characters import CharacterFeaturizer
from .neighbours import NeighbourFeaturizer
from .objects import ObjectFeaturizer
from .pictures import PictureFeaturizer
from .transformer import TransformerFeaturizer
from .words import WordFeaturizer

__all__ = [
    "CharacterFeaturizer",
    "Featurizer",
    "Featurizers",
    "NeighbourFeaturizer",
    "ObjectFeaturizer",
    "PictureFeaturizer",
    "TransformerFeaturizer",
    "WordFeaturizer",
]
