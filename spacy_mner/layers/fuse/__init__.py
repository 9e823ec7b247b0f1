"""Fuse: from one vector per token and modality to one vector per token."""

from .attention import ModalityAttention
from .concatenate import Concatenate

__all__ = ["Concatenate", "ModalityAttention"]
