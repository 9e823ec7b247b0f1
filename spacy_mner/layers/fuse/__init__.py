"""Fuse: from all modalities to one vector per token.

A fuser is called with the embedded modalities, the lengths of the posts (int64 [n_posts], on the
CPU), and `region_attention`, which asks it to tell how tokens attend to regions. It bears the
`width` of what it returns and the `auxiliary_width` of what it makes for the decoder's auxiliary
head, None where it makes nothing.
"""

from .concatenate import Concatenate
from .cross_modal import CrossModal
from .modality_attention import ModalityAttention

__all__ = ["Concatenate", "CrossModal", "ModalityAttention"]
