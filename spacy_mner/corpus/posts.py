"""The Docs of a corpus file, and the context in which it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..extensions import POST_ID
from .tags import Entity, Orphans, Scheme, Tag, read_entities


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
    renamed: old label → new label; other labels are unchanged.
    orphans: see `read_entities`.
    columns: those of words and tags, from 1; None: found by their content.
    context_label: label of text about the image behind the tokens of a post; see `conll_context`.
    problems: skipped and repaired parts of the input.
    labels_seen: labels of the input, by their old names.
    scheme: name of the scheme of its tags; None for a format without tags.
    n_orphans, n_changed: sums of `Repaired.orphans` and `Repaired.changed` over posts.
    """

    nlp: Language
    renamed: Mapping[str, str] = field(default_factory=dict)
    orphans: Orphans = "open"
    columns: tuple[int, int] | None = None
    context_label: str | None = None
    problems: list[Problem] = field(default_factory=list)
    labels_seen: set[str] = field(default_factory=set)
    scheme: str | None = None
    n_orphans: int = 0
    n_changed: int = 0

    def report(self, line: int, reason: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(line, reason))

    def rename(self, label: str) -> str:
        """Return the new name of a label."""
        self.labels_seen.add(label)
        return self.renamed.get(label, label)

    def entities_of_tags(self, tags: Iterable[Tag | None], scheme: Scheme) -> list[Entity]:
        """Return the entities of the tags of a post with renamed labels, and count the orphans.

        scheme: that of the whole corpus, from `detect_scheme`.
        """
        renamed = [
            Tag(tag.prefix, self.rename(tag.label)) if tag and tag.label else tag for tag in tags
        ]
        repaired = read_entities(renamed, self.orphans, scheme)
        self.scheme = scheme.name
        self.n_orphans += repaired.orphans
        self.n_changed += repaired.changed
        return repaired.entities


def make_doc(
    context: ReadContext,
    words: list[str],
    spaces: list[bool] | None = None,
    entities: Iterable[Entity] | None = None,
    missing: Iterable[int] = (),
    post_id: str | None = None,
    **attributes: Any,
) -> Doc:
    """Create the Doc of a post.

    words: gold tokens.
    spaces: whether a space follows each token; None if unknown.
    entities: token spans; None if the post is not annotated.
    missing: tokens whose annotation is missing in an annotated post.
    post_id: its name in the corpus, stored as `doc.user_data[POST_ID]`.
    attributes: values of `image` and other custom attributes of the Doc.
    """
    doc = Doc(context.nlp.vocab, words=words, spaces=spaces)
    if entities is not None:
        doc.set_ents(
            [Span(doc, start, end, label=label) for start, end, label in entities],
            missing=[Span(doc, i, i + 1) for i in missing],
        )
    if post_id is not None:
        doc.user_data[POST_ID] = post_id
    for name, value in attributes.items():
        doc._.set(name, value)
    return doc


def rename_labels(doc: Doc, context: ReadContext) -> None:
    """Rename the labels of a Doc in place; missing annotation stays missing."""
    entities = [Span(doc, e.start, e.end, label=context.rename(e.label_)) for e in doc.ents]
    doc.set_ents(entities, default="unmodified")


def missing_tokens(doc: Doc) -> list[int]:
    """Return the indices of tokens whose entity annotation is missing."""
    return [token.i for token in doc if token.ent_iob == 0]
