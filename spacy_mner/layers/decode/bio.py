"""The BIO scheme: the order of its tags, and which tag may follow which.

Tag 0 is `O`. Label k has the tags `begin_tag(k)` and `inside_tag(k)`, so that labels are appended
without renumbering. No other module depends on this order.
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


def n_tags(n_labels: int) -> int:
    return 2 * n_labels + 1


def begin_tag(label: Index) -> Index:
    """The `B-` tag of a label index, or of a tensor of label indices."""
    return 2 * label + 1


def inside_tag(label: Index) -> Index:
    """The `I-` tag of a label index, or of a tensor of label indices."""
    return 2 * label + 2


def entities_of(tags: Sequence[int]) -> list[tuple[int, int, int]]:
    """The entities of one post, as (first token, token after the last, label index).

    tags: a sequence that `transition_allowed` and `start_allowed` permit.
    """
    entities: list[tuple[int, int, int]] = []
    for token, tag in enumerate(tags):
        if tag != OUTSIDE:
            label, is_inside = divmod(tag - 1, 2)
            start = entities.pop()[0] if is_inside else token
            entities.append((start, token + 1, label))
    return entities


def without_labels(allowed: Tensor) -> Tensor:
    """Reduce allowed tags [n_tokens, n_tags] to [n_tokens, 3] for one label that replaces all.

    A prefix is allowed where a tag with this prefix is.
    """
    begins, insides = allowed[:, begin_tag(0) :: 2], allowed[:, inside_tag(0) :: 2]
    return torch.stack([allowed[:, OUTSIDE], begins.any(dim=1), insides.any(dim=1)], dim=1)


def start_allowed(n_labels: int) -> Tensor:
    """The tags allowed at the first token: bool [n_tags], all but `I-`."""
    allowed = torch.ones(n_tags(n_labels), dtype=torch.bool)
    allowed[inside_tag(0) :: 2] = False
    return allowed


def transition_allowed(n_labels: int) -> Tensor:
    """The allowed transitions: bool [n_tags, n_tags], from row to column.

    `I-X` follows only `B-X` and `I-X`; all others are allowed.
    """
    allowed = start_allowed(n_labels).repeat(n_tags(n_labels), 1)
    labels = torch.arange(n_labels)
    allowed[begin_tag(labels), inside_tag(labels)] = True
    allowed[inside_tag(labels), inside_tag(labels)] = True
    return allowed
