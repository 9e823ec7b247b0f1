"""Decode: from encoded tokens to tags, their loss and their probabilities."""

from .bio import bio_tags, start_allowed, transition_allowed
from .crf import CRF, FORBIDDEN, Potentials
from .inference import marginals, negative_log_likelihood, span_probabilities, viterbi
from .segmentation import Segmentation, segmentation_loss

__all__ = [
    "CRF",
    "FORBIDDEN",
    "Potentials",
    "Segmentation",
    "bio_tags",
    "marginals",
    "negative_log_likelihood",
    "segmentation_loss",
    "span_probabilities",
    "start_allowed",
    "transition_allowed",
    "viterbi",
]
