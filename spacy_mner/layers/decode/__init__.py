"""Decode: CRF potentials from encoded tokens; loss, best path and probabilities from potentials."""

from .crf import CRF
from .inference import negative_log_likelihood, span_probabilities, viterbi
from .potentials import Potentials

__all__ = ["CRF", "Potentials", "negative_log_likelihood", "span_probabilities", "viterbi"]
