"""What a conversion did, for the screen and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import srsly

from .predicted import SpanAlignment
from .problems import Problem
from .tags import Orphans

# Labels of the sentiment task that is published on the same posts under the same file names.
SENTIMENTS = frozenset(
    {"POS", "NEG", "NEU", "POSITIVE", "NEGATIVE", "NEUTRAL", "-1", "0", "1", "2"}
)

UNITS = {".json": "task", ".spacy": "post"}


@dataclass(frozen=True)
class MissingImage:
    """A reference that led to no image, or to no caption.

    post: its id, or its number where it has none.
    """

    post: str
    reference: str
    reason: str


@dataclass
class Summary:
    """Counts and complaints of one conversion.

    entities: by type, as written to the output.
    repaired_tags: `I-` with no opening tag; repaired_tokens: tags that read differently now.
    images_matched, images_missing: references found and not found.
    captions_matched, captions_missing: the same for captions.
    posts_with_image: posts of the output that bring an image or a descriptor.
    alignment: of the gold spans with the tokens of a pipeline.
    problems: input that could not be taken as it stands, by line (or what `unit` says).
    unused_names: labels that were to be renamed and do not occur.
    """

    input: str
    output: str
    orphans: Orphans
    posts: int = 0
    tokens: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    repaired_tags: int = 0
    repaired_tokens: int = 0
    posts_with_image: int = 0
    images_matched: int = 0
    images_missing: list[MissingImage] = field(default_factory=list)
    captions_matched: int = 0
    captions_missing: list[MissingImage] = field(default_factory=list)
    alignment: SpanAlignment = field(default_factory=SpanAlignment)
    problems: list[Problem] = field(default_factory=list)
    unused_names: list[str] = field(default_factory=list)

    @property
    def looks_like_sentiment(self) -> bool:
        """Whether the labels are those of another task on the same posts."""
        return bool(self.entities) and {label.upper() for label in self.entities} <= SENTIMENTS

    @property
    def unit(self) -> str:
        """What the numbers of problems count in the input."""
        return UNITS.get(Path(self.input).suffix.lower(), "line")

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it: entities by name, files without the folders they are in.

        A corpus may move to another folder, and its summary goes along.
        """
        files = {"input": Path(self.input).name, "output": Path(self.output).name}
        return asdict(self) | files | {"entities": dict(sorted(self.entities.items()))}


def summary_path(output: Path) -> Path:
    """Where the summary of a conversion stands: beside its output."""
    return output.with_name(f"{output.name}.summary.json")


def write_summary(summary: Summary) -> Path:
    """Write a summary beside the output it speaks of."""
    path = summary_path(Path(summary.output))
    srsly.write_json(path, summary.to_dict())
    return path
