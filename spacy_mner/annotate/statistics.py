"""Counts over annotated rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..features.image_status import ImageStatus

# Errors that are listed, and characters of each: an error quotes the whole row it belongs to.
MAX_ERRORS = 5
MAX_ERROR_LENGTH = 500


@dataclass
class Statistics:
    """Counts over annotated rows.

    entities: by label.
    images: posts by the kind of their image status.
    failed: rows with an error.
    errors: the first of them, as (row number, error).
    """

    posts: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    @classmethod
    def of(cls, annotations: Iterable[dict[str, Any]], first_row: int) -> Statistics:
        """Count the annotations of consecutive rows; `first_row` is the number of the first."""
        statistics = cls()
        for row, annotation in enumerate(annotations, start=first_row):
            statistics.posts += 1
            statistics.entities.update(entity["label"] for entity in annotation["entities"] or ())
            if (status := annotation["image_status"]) is not None:
                statistics.images[ImageStatus.parse(status).category] += 1
            if annotation["error"] is not None:
                statistics.failed += 1
                if len(statistics.errors) < MAX_ERRORS:
                    statistics.errors.append((row, annotation["error"][:MAX_ERROR_LENGTH]))
        return statistics

    def add(self, other: Statistics) -> None:
        """Add the counts of other rows, in any order."""
        self.posts += other.posts
        self.entities.update(other.entities)
        self.images.update(other.images)
        self.failed += other.failed
        self.errors = sorted([*self.errors, *other.errors])[:MAX_ERRORS]

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON types, the largest first."""
        return {
            **asdict(self),
            "entities": dict(self.entities.most_common()),
            "images": dict(self.images.most_common()),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Statistics:
        """The inverse of `to_json`."""
        return cls(
            posts=value["posts"],
            entities=Counter(value["entities"]),
            images=Counter(value["images"]),
            failed=value["failed"],
            errors=[(row, error) for row, error in value["errors"]],
        )
