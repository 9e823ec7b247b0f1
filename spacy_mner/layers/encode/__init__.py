"""Encode: give every token its context within the post."""

from .bilstm import BiLSTM
from .coupled import CoupledBiLSTM
from .no_encoder import NoEncoder

__all__ = ["BiLSTM", "CoupledBiLSTM", "NoEncoder"]
