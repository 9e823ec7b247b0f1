"""BIO tags, and the two protocols for an `I-` without a preceding `B-` (orphan)."""

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
    """The entities of a tag sequence.

    entities: in order, without overlaps.
    orphans: number of `I-` without a preceding tag of the same label.
    changed: number of tags that the protocol changed; "drop" also changes the `I-` that continue
        an orphan.
    """

    entities: list[Entity]
    orphans: int
    changed: int


def parse_tag(text: str) -> Tag | None:
    """Parse "O", "B-PER" or "I-PER"; return None for anything else."""
    if text == "O":
        return Tag("O")
    prefix, dash, label = text.partition("-")
    if prefix in ("B", "I") and dash and label.strip():
        return Tag(prefix, label.strip())
    return None


def read_entities(tags: Sequence[Tag | None], orphans: Orphans) -> Repaired:
    """Return the entities of a tag sequence.

    tags: one per token; None for missing annotation.
    orphans: "open" (lenient, as in conlleval) begins an entity at an orphan; "drop" (strict)
        reads the orphan, and the `I-` of the same label after it, as outside.
    """
    entities: list[Entity] = []
    n_orphans = changed = 0
    previous = Tag("O")
    in_entity = False
    for i, tag_or_none in enumerate(tags):
        tag = tag_or_none or Tag("O")
        continues = tag.prefix == "I" and tag.label == previous.label
        if tag.prefix == "I" and not continues:
            n_orphans += 1
            in_entity = orphans == "open"
            changed += 1
        elif tag.prefix == "B":
            in_entity = True
        elif continues and not in_entity:
            changed += 1
        if tag.prefix != "O" and in_entity:
            start = entities.pop()[0] if continues else i
            entities.append((start, i + 1, tag.label))
        previous = tag
    return Repaired(entities, n_orphans, changed)
