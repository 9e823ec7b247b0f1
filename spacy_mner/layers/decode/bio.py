"""The BIO scheme: its tags, their order, and which tag may follow which.

Tag 0 is `O`; label k owns the tags `begin_tag(k)` and `inside_tag(k)`. Nothing else in the package
knows this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

OUTSIDE = 0

Index = TypeVar("Index", int, Tensor)


def bio_tags(labels: Sequence[str]) -> list[str]:
    """["O", "B-X", "I-X", "B-Y", ...]"""
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def begin_tag(label: Index) -> Index:
    """The tag that opens an entity of this label (its index, or a tensor of indices)."""
    return 2 * label + 1


def inside_tag(label: Index) -> Index:
    """The tag that continues an entity of this label."""
    return 2 * label + 2


def start_allowed(n_labels: int) -> Tensor:
    """Tags a post may begin with: bool [n_tags]; an entity cannot begin with `I`."""
    allowed = torch.ones(2 * n_labels + 1, dtype=torch.bool)
    allowed[inside_tag(0) :: 2] = False
    return allowed


def transition_allowed(n_labels: int) -> Tensor:
    """Tags that may follow one another: bool [n_tags, n_tags], from row to column.

    `I-X` follows only `B-X` and `I-X`; all else is free.
    """
    allowed = start_allowed(n_labels).repeat(2 * n_labels + 1, 1)
    labels = torch.arange(n_labels)
    allowed[begin_tag(labels), inside_tag(labels)] = True
    allowed[inside_tag(labels), inside_tag(labels)] = True
    return allowed
