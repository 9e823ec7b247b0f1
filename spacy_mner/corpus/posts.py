"""One post of a corpus file before it is a Doc, and the context in which files are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..extensions import POST_ID
from .tags import Entity, Orphans


@dataclass
class Post:
    """A post with its gold tokens, entities and image.

    words: gold tokens.
    spaces: whether a space follows each token; None if unknown.
    entities: token spans; None if the post is not annotated.
    missing: tokens whose annotation is missing in an annotated post.
    id: its name in the corpus.
    image, image_features, image_objects, image_text: values of the Doc attributes of these names.
    line: 1-based position in the file, see `Problem`.
    """

    words: list[str]
    spaces: list[bool] | None = None
    entities: Sequence[Entity] | None = None
    missing: Sequence[int] = ()
    id: str | None = None
    image: Any = None
    image_features: Any = None
    image_objects: Any = None
    image_text: str | None = None
    line: int = 0


@dataclass
class Labels:
    """Maps the labels of a corpus to new names.

    renamed: old name → new name; other labels are unchanged.
    seen: labels of the input, by their old names.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def __call__(self, label: str) -> str:
        """Return the new name of a label."""
        self.seen.add(label)
        return self.renamed.get(label, label)


@dataclass(frozen=True)
class Problem:
    """Part of the input that was skipped or repaired.

    line: 1-based line number; of a .spacy file the number of the Doc, of a Label Studio file
        that of the task.
    reason: what is wrong, and how it was handled.
    """

    line: int
    reason: str


@dataclass
class ReadContext:
    """Settings with which a corpus file is read, and what its reader reports.

    nlp: provides the vocab, and the tokenizer for posts without tokens.
    labels, orphans: see `Labels` and `read_entities`.
    problems: skipped and repaired parts of the input.
    n_orphans, n_changed: sums of `Repaired.orphans` and `Repaired.changed` over posts.
    """

    nlp: Language
    labels: Labels = field(default_factory=Labels)
    orphans: Orphans = "open"
    problems: list[Problem] = field(default_factory=list)
    n_orphans: int = 0
    n_changed: int = 0

    def report(self, line: int, reason: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(line, reason))


def make_doc(post: Post, vocab: Vocab) -> Doc:
    """Create the Doc of a post: gold tokens, entities, image, and `doc.user_data[POST_ID]`."""
    doc = Doc(vocab, words=post.words, spaces=post.spaces)
    if post.entities is not None:
        doc.set_ents(
            [Span(doc, start, end, label=label) for start, end, label in post.entities],
            missing=[Span(doc, i, i + 1) for i in post.missing],
        )
    if post.id is not None:
        doc.user_data[POST_ID] = post.id
    doc._.image = post.image
    doc._.image_features = post.image_features
    doc._.image_objects = post.image_objects
    doc._.image_text = post.image_text
    return doc


def rename_labels(doc: Doc, labels: Labels) -> None:
    """Rename the labels of a Doc in place; missing annotation stays missing."""
    entities = [Span(doc, e.start, e.end, label=labels(e.label_)) for e in doc.ents]
    doc.set_ents(entities, default="unmodified")


def missing_tokens(doc: Doc) -> list[int]:
    """Return the indices of tokens whose entity annotation is missing."""
    return [token.i for token in doc if token.ent_iob == 0]
