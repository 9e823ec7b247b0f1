"""Fuse: one vector per token from all modalities.

A fuser is called with the embedded modalities, the lengths of the posts (int64 [n_posts], on the
CPU) and `region_attention`, whether to return the attention weights of regions; it returns `Fused`.
Its attributes are `width`, that of the vectors, and `auxiliary_width`, that of the vectors for the
decoder's auxiliary head or None.
"""

from .concatenate import Concatenate
from .cross_modal import CrossModal
from .modality_attention import ModalityAttention

__all__ = ["Concatenate", "CrossModal", "ModalityAttention"]
