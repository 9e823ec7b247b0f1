"""BIO tags, and what becomes of an `I-` that nothing opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Orphans = Literal["open", "drop"]

# First token, last token + 1, label.
Entity = tuple[int, int, str]


@dataclass(frozen=True)
class Tag:
    """One BIO tag. prefix: "B", "I" or "O"; label: empty for "O"."""

    prefix: str
    label: str = ""


@dataclass(frozen=True)
class Repaired:
    """The entities that a sequence of tags stands for.

    entities: in order, without overlaps.
    orphans: how many `I-` had no opening tag before them.
    changed: how many tags read differently after the repair: under "drop", an orphan takes the
        `I-` that follow it along.
    """

    entities: list[Entity]
    orphans: int
    changed: int


def parse_tag(text: str) -> Tag | None:
    """Read "O", "B-PER" or "I-PER"; None for anything else."""
    if text == "O":
        return Tag("O")
    prefix, dash, label = text.partition("-")
    if prefix in ("B", "I") and dash and label.strip():
        return Tag(prefix, label.strip())
    return None


def read_entities(tags: Sequence[Tag | None], orphans: Orphans) -> Repaired:
    """Turn tags into entities under a protocol for `I-` with no opening.

    tags: one per token; None where the annotation is missing.
    orphans: "open" (lenient, as conlleval has it) lets the orphan begin an entity, "drop"
        (strict) reads it as outside, and with it the `I-` of the same label that follow.
    An `I-` of another label than the tag before it has no opening either.
    """
    entities: list[Entity] = []
    n_orphans = changed = 0
    before = Tag("O")
    open_entity = False
    for i, given in enumerate(tags):
        tag = given or Tag("O")
        continues = tag.prefix == "I" and tag.label == before.label
        if tag.prefix == "I" and not continues:
            n_orphans += 1
            open_entity = orphans == "open"
            changed += 1
        elif tag.prefix == "B":
            open_entity = True
        elif continues and not open_entity:
            changed += 1
        if tag.prefix != "O" and open_entity:
            start = entities.pop()[0] if continues else i
            entities.append((start, i + 1, tag.label))
        before = tag
    return Repaired(entities, n_orphans, changed)
