"""Encode: contextual vectors of the tokens of a post.

An encoder is called with the fused vectors [n_tokens, input_width] and the lengths of the posts
(int64 [n_posts], on the CPU), and returns vectors [n_tokens, width] of its attribute `width`.
"""

from .bilstm import BiLSTM
from .coupled import CoupledBiLSTM
from .no_encoder import NoEncoder

__all__ = ["BiLSTM", "CoupledBiLSTM", "NoEncoder"]
