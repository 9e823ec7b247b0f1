"""Decode: CRF potentials from encoded tokens; loss, best path and probabilities from potentials."""

from .bio import (
    OUTSIDE,
    begin_tag,
    bio_tags,
    entities_of,
    inside_tag,
    n_tags,
    start_allowed,
    transition_allowed,
)
from .crf import CRF
from .inference import marginals, negative_log_likelihood, span_probabilities, viterbi
from .potentials import FORBIDDEN, Potentials, Segmentation
from .segmentation import BinarySegmentation, BIOSegmentation

__all__ = [
    "CRF",
    "FORBIDDEN",
    "OUTSIDE",
    "BIOSegmentation",
    "BinarySegmentation",
    "Potentials",
    "Segmentation",
    "begin_tag",
    "bio_tags",
    "entities_of",
    "inside_tag",
    "marginals",
    "n_tags",
    "negative_log_likelihood",
    "span_probabilities",
    "start_allowed",
    "transition_allowed",
    "viterbi",
]
