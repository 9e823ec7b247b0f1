"""Region modalities as token modalities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from ..ragged import pool_regions
from ..types import Embedded, RegionVectors, TokenVectors


def token_vectors(
    embedded: Mapping[str, Embedded], names: Iterable[str], lengths: Tensor
) -> list[TokenVectors]:
    """The modalities in the order of `names`; regions are pooled to their mean."""
    modalities = (embedded[name] for name in names)
    return [
        pool_regions(modality, lengths) if isinstance(modality, RegionVectors) else modality
        for modality in modalities
    ]
