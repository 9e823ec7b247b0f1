"""What became of posts, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..features.image_status import ImageStatus

# Errors that are told word by word, of a chunk and of all.
TOLD = 5
# Characters that are told of an error, which shows all of a row that could not be read.
TOLD_LENGTH = 500


@dataclass
class Tally:
    """Counts over posts that were annotated.

    entities: by label.
    images: posts by what became of their images, reasons left aside.
    failed: posts with an error; errors: the first of them, as (row, error).
    """

    posts: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def of(cls, annotations: Iterable[dict[str, Any]], first: int) -> Tally:
        """Count the annotations of consecutive rows.

        first: the place of the first row in the input, from 1.
        """
        tally = cls()
        for row, annotation in enumerate(annotations, start=first):
            tally.posts += 1
            tally.entities.update(entity["label"] for entity in annotation["entities"] or ())
            if annotation["image_status"] is not None:
                tally.images[ImageStatus.parse(annotation["image_status"]).category] += 1
            if annotation["error"] is not None:
                tally.failed += 1
                if len(tally.errors) < TOLD:
                    tally.errors.append((row, annotation["error"][:TOLD_LENGTH]))
        return tally

    def add(self, other: Tally) -> None:
        """Count other posts as well; chunks may come in any order."""
        self.posts += other.posts
        self.entities.update(other.entities)
        self.images.update(other.images)
        self.failed += other.failed
        self.errors = sorted([*self.errors, *other.errors])[:TOLD]

    def to_json(self) -> dict[str, Any]:
        """The counts as types that JSON knows, the largest first."""
        ordered = {name: dict(_ordered(getattr(self, name))) for name in ("entities", "images")}
        return {**asdict(self), **ordered}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tally:
        """Read what `to_json` gave."""
        errors = [(row, error) for row, error in value["errors"]]
        counters = {name: Counter(value[name]) for name in ("entities", "images")}
        return cls(posts=value["posts"], failed=value["failed"], errors=errors, **counters)


def _ordered(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
