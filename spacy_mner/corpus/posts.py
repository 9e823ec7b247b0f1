"""One post as a corpus file gives it, before it is a Doc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..extensions import POST_ID
from .tags import Entity


@dataclass
class Post:
    """A post with its gold tokens, entities and image.

    words: the tokens, never re-tokenized.
    spaces: whether a space follows each token; None where the file does not say.
    entities: over tokens; None for a post that nobody has annotated.
    missing: tokens whose annotation is unknown in a post that is annotated otherwise.
    id: the name that the corpus gives to the post.
    image, image_features, image_objects, image_text: as the attributes of a Doc of these names
        take them.
    line: where the post begins in its file, from 1.
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
    """The labels of a corpus, renamed as the user asks.

    renamed: old name → new name; a label that is not among them stays as it is.
    seen: the labels that were met in the input, under their old names.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def __call__(self, label: str) -> str:
        """Give the name that a label of the input has in the output."""
        self.seen.add(label)
        return self.renamed.get(label, label)


def make_doc(post: Post, vocab: Vocab) -> Doc:
    """Make the Doc of a post: gold tokens, entities, image, and its name under `POST_ID`."""
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
    """Rename the entities of a Doc, leaving missing annotation missing."""
    entities = [Span(doc, e.start, e.end, label=labels(e.label_)) for e in doc.ents]
    doc.set_ents(entities, default="unmodified")


def missing_tokens(doc: Doc) -> list[int]:
    """Tokens of a Doc whose entity annotation is unknown."""
    return [token.i for token in doc if token.ent_iob == 0]
