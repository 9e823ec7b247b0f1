"""The host half of every modality: Docs in, arrays out. No gradients, no torch."""

from .augmentation import AugmentationFeaturizer
from .characters import CharacterFeaturizer
from .featurizer import Featurizer, Featurizers
from .image import ImageFeaturizer
from .image_text_match import ImageTextMatchFeaturizer
from .objects import ObjectFeaturizer
from .stored_vectors import StoredVectorsFeaturizer
from .transformer import TransformerFeaturizer
from .words import WordFeaturizer

__all__ = [
    "AugmentationFeaturizer",
    "CharacterFeaturizer",
    "Featurizer",
    "Featurizers",
    "ImageFeaturizer",
    "ImageTextMatchFeaturizer",
    "ObjectFeaturizer",
    "StoredVectorsFeaturizer",
    "TransformerFeaturizer",
    "WordFeaturizer",
]
