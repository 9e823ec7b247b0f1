"""Decode: from encoded tokens to tags, their loss and their probabilities."""

from .bio import bio_tags, start_allowed, transition_allowed
from .crf import CRF
from .inference import marginals, negative_log_likelihood, span_probabilities, viterbi
from .potentials import FORBIDDEN, Potentials, Segmentation
from .segmentation import BinarySegmentation, BIOSegmentation

__all__ = [
    "CRF",
    "FORBIDDEN",
    "BIOSegmentation",
    "BinarySegmentation",
    "Potentials",
    "Segmentation",
    "bio_tags",
    "marginals",
    "negative_log_likelihood",
    "span_probabilities",
    "start_allowed",
    "transition_allowed",
    "viterbi",
]
