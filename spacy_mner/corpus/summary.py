"""Summary of a conversion, for the console and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import srsly

from .posts import Problem
from .predicted import SpanAlignment
from .tags import Orphans

# Added to the name of the output.
SUFFIX = ".summary.json"

# Labels of the sentiment data that is published for the same posts under the same file names.
SENTIMENTS = frozenset(
    {"POS", "NEG", "NEU", "POSITIVE", "NEGATIVE", "NEUTRAL", "-1", "0", "1", "2"}
)


@dataclass(frozen=True)
class MissingImage:
    """An image reference without an image, or without a caption.

    post: its id, or its number in the output if it has none.
    """

    post: str
    reference: str
    reason: str


@dataclass
class Summary:
    """Counts and problems of a conversion.

    entities: by label, in the output.
    annotated_labels: number of posts by the labels that are annotated in them.
    tag_scheme: such as "BIO" or "BIOES"; None for a format without tags.
    incomplete_entities, changed_tags: entities without their first or last tag, and the tags that
        the convention for them changed; see `tags.Repaired`.
    posts_with_image: posts of the output with an image or a descriptor.
    dropped: spans whose label is dropped, by label.
    missing_mentions: spans that are only a user mention and were replaced by missing annotation;
        None if they are kept.
    alignment: of the gold spans with the tokens of a pipeline.
    offset_hint: the mistake that most spans inside words come from; "" if there is none.
    posts_with_unused_id: posts with the id of an image, where images are not looked up.
    root_hint: the folder in which missing images exist; "" if there is none.
    problems: skipped and repaired parts of the input.
    unannotated: number of posts without annotation; unread_keys: their keys that are not read.
    unread_images: number of posts without an image, by their key that looks like one.
    empty_images: number of posts with an empty string as their image, which is none.
    unused_names: labels to be renamed or dropped that do not occur.
    labels_without_spans: labels that the corpus is said to annotate, but of which it has no span.
    """

    input: str
    output: str
    orphans: Orphans
    posts: int = 0
    tokens: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    annotated_labels: Counter[str] = field(default_factory=Counter)
    tag_scheme: str | None = None
    incomplete_entities: int = 0
    changed_tags: int = 0
    posts_with_image: int = 0
    posts_with_unused_id: int = 0
    images_matched: int = 0
    images_missing: list[MissingImage] = field(default_factory=list)
    root_hint: str = ""
    captions_matched: int = 0
    captions_missing: list[MissingImage] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    missing_mentions: int | None = None
    alignment: SpanAlignment = field(default_factory=SpanAlignment)
    offset_hint: str = ""
    problems: list[Problem] = field(default_factory=list)
    unannotated: int = 0
    unread_keys: list[str] = field(default_factory=list)
    unread_images: dict[str, int] = field(default_factory=dict)
    empty_images: int = 0
    unused_names: list[str] = field(default_factory=list)
    labels_without_spans: list[str] = field(default_factory=list)

    @property
    def looks_like_sentiment(self) -> bool:
        """Whether all labels are those of sentiment analysis."""
        return bool(self.entities) and {label.upper() for label in self.entities} <= SENTIMENTS

    def write(self) -> None:
        """Write the summary as JSON next to the output, which can be moved with it."""
        files = {"input": Path(self.input).name, "output": Path(self.output).name}
        # `asdict` makes the items of a Counter its keys.
        counts = {
            "entities": dict(sorted(self.entities.items())),
            "annotated_labels": dict(self.annotated_labels),
        }
        srsly.write_json(Path(f"{self.output}{SUFFIX}"), asdict(self) | files | counts)
