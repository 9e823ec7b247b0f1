"""The Docs of a corpus file, and the context in which it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..errors import CorpusError
from ..extensions import POST_ID
from .tags import Entity, Orphans, Scheme, Tag, parse_tag, read_entities
from .word_boundaries import OffsetCheck


@dataclass(frozen=True)
class Problem:
    """Part of the input that was skipped or repaired.

    line: 1-based line number; of a .spacy file the number of the Doc, of a .json file that of the
        item.
    reason: what is wrong, and how it was handled.
    """

    line: int
    reason: str


@dataclass
class ReadContext:
    """Settings with which a corpus file is read, and what its reader reports.

    nlp: provides the vocab, and the tokenizer for posts without tokens.
    renamed: old label → new label, or "" to drop its spans; other labels are unchanged.
    orphans: see `read_entities`.
    columns: those of words and tags, from 1; None: found by their content.
    context_label: label of text about the image after the tokens of a post; see `conll_context`.
    tag_names: names of integer tags in order; None if unknown.
    problems: skipped and repaired parts of the input.
    labels_seen: labels of the input, by their old names.
    dropped: number of spans that were dropped, by label.
    offset_check: of the character offsets of spans.
    scheme: name of the scheme of its tags; None for a format without tags.
    unread_keys: keys of JSON posts without annotation that are not read.
    unread_images: number of JSON posts without an image, by their key that looks like one.
    empty_images: number of JSON posts with an empty string as their image.
    n_orphans, n_changed: sums of `Repaired.orphans` and `Repaired.changed` over posts.
    """

    nlp: Language
    renamed: Mapping[str, str] = field(default_factory=dict)
    orphans: Orphans = "open"
    columns: tuple[int, int] | None = None
    context_label: str | None = None
    tag_names: Sequence[str] | None = None
    problems: list[Problem] = field(default_factory=list)
    labels_seen: set[str] = field(default_factory=set)
    dropped: Counter[str] = field(default_factory=Counter)
    offset_check: OffsetCheck = field(default_factory=OffsetCheck)
    scheme: str | None = None
    unread_keys: set[str] = field(default_factory=set)
    unread_images: Counter[str] = field(default_factory=Counter)
    empty_images: int = 0
    n_orphans: int = 0
    n_changed: int = 0

    def report(self, line: int, reason: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(line, reason))

    def rename(self, label: str) -> str:
        """Return the new name of a label, or "" if its spans are dropped."""
        self.labels_seen.add(label)
        return self.renamed.get(label, label)

    def rename_annotated(self, labels: Iterable[str]) -> list[str]:
        """Return the new names of the labels that a corpus annotates, without dropped ones."""
        return sorted(filter(None, map(self.rename, labels)))

    def relabel(self, spans: Iterable[Entity]) -> list[Entity]:
        """Return spans with renamed labels, without those whose label is dropped."""
        renamed = [(start, end, self.rename(label), label) for start, end, label in spans]
        self.dropped.update(label for *_, name, label in renamed if not name)
        return [(start, end, name) for start, end, name, _ in renamed if name]

    def check_spans(self) -> None:
        """Check the spans of a whole file.

        Raises CorpusError if their labels are tags of tokens, or nearly all offsets are shifted.
        """
        tags = {label: parse_tag(label) for label in self.labels_seen}
        begin, inside = ({t.label for t in tags.values() if t and t.prefix == p} for p in "BI")
        if begin & inside or (begin | inside and all(tags.values())):
            raise CorpusError(
                f"The labels of spans are tags of tokens ({', '.join(sorted(tags)[:3])}), as "
                'pipelines of Hugging Face write them without aggregation_strategy="simple". '
                "Write spans of whole entities, or the tokens and their ner_tags."
            )
        self.offset_check.check()

    def read_tags(self, tags: Sequence[Tag | None], scheme: Scheme) -> list[Entity]:
        """Return the entities of the tags of a post, and count the orphans.

        scheme: that of the whole corpus, from `detect_scheme`.
        """
        repaired = read_entities(tags, self.orphans, scheme)
        self.scheme = scheme.name
        self.n_orphans += repaired.orphans
        self.n_changed += repaired.changed
        return repaired.entities

    def entities_of_tags(self, tags: Iterable[Tag | None], scheme: Scheme) -> list[Entity]:
        """Return the entities of tags that are renamed before their orphans are repaired."""
        # A label to be dropped keeps its name until its entities are known.
        renamed = [
            Tag(tag.prefix, self.rename(tag.label) or tag.label) if tag and tag.label else tag
            for tag in tags
        ]
        entities = self.read_tags(renamed, scheme)
        kept = [one for one in entities if self.renamed.get(one[2]) != ""]
        self.dropped.update(one[2] for one in entities if one not in kept)
        return kept


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
    """Rename or drop the labels of a Doc in place; missing annotation stays missing."""
    found = [(entity.start, entity.end, entity.label_) for entity in doc.ents]
    entities = [Span(doc, start, end, label) for start, end, label in context.relabel(found)]
    kept = {entity.start for entity in entities}
    dropped = [entity for entity in doc.ents if entity.start not in kept]
    doc.set_ents(entities, outside=dropped, default="unmodified")
    if doc._.annotated_labels is not None:
        doc._.annotated_labels = context.rename_annotated(doc._.annotated_labels)


def names_of_annotated_labels(doc: Doc) -> str:
    """Return the labels that the corpus of a post annotates, for messages."""
    labels = doc._.annotated_labels
    return "all labels" if labels is None else ", ".join(labels)


def missing_tokens(doc: Doc) -> list[int]:
    """Return the indices of tokens whose entity annotation is missing."""
    return [token.i for token in doc if token.ent_iob == 0]
