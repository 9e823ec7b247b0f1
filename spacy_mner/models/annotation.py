"""Between the entities of a Doc and the BIO tags of the CRF."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE, ORTH
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..features.image_status import ImageStatus
from ..layers.decode.bio import OUTSIDE, begin_tag, inside_tag

# spaCy's codes for token.ent_iob
_INSIDE, _OUTSIDE, _BEGIN = 1, 2, 3


@dataclass(frozen=True)
class Labeling:
    """What the component says of one post.

    entities: (first token, token after the last, label, probability of exactly this span).
    attention: modality name to float32 [n_tokens], or None.
    image_status: what became of the post's images.
    image_attention: modality name to float32 [n_tokens, n_regions], or None.
    """

    entities: list[tuple[int, int, str, float]]
    attention: dict[str, np.ndarray] | None
    image_status: ImageStatus
    image_attention: dict[str, np.ndarray] | None = None

    def write_to(self, doc: Doc) -> None:
        """Set the entities and attributes. Tokens of no entity become outside, not missing.

        A span of white space alone is no entity, whatever the network says of it.
        """
        spans = []
        for start, end, label, score in self.entities:
            span = Span(doc, start, end, label)
            if not span.text.isspace():  # nobody marks white space, and no corpus may
                span._.score = score
                spans.append(span)
        doc.set_ents(spans)
        doc._.image_status = str(self.image_status)
        doc._.modality_attention = self.attention
        doc._.image_attention = self.image_attention


def entities_of(tags: np.ndarray) -> list[tuple[int, int, int]]:
    """The entities in one post's tag indices, as (first token, token after the last, label).

    tags: int [n_tokens], a sequence that the BIO constraints allow.
    """
    starts = np.flatnonzero(tags % 2 == 1)
    entities = []
    for start in starts:
        label = (int(tags[start]) - 1) // 2
        end = int(start) + 1
        while end < len(tags) and tags[end] == inside_tag(label):
            end += 1
        entities.append((int(start), end, label))
    return entities


def allowed_tags(examples: Sequence[Example], labels: Sequence[str]) -> np.ndarray:
    """The tags that the annotation leaves open, bool [n_tokens, n_tags]; tokens laid flat.

    One tag where a token's annotation is known, all where it is missing.
    """
    index = {label: i for i, label in enumerate(labels)}
    tags = [_tags(example, index) for example in examples]
    flat = np.concatenate(tags) if tags else np.zeros(0, dtype=np.int64)
    allowed = np.zeros((len(flat), 1 + 2 * len(labels)), dtype=bool)
    known = flat >= 0
    allowed[np.flatnonzero(known), flat[known]] = True
    allowed[~known] = True
    return allowed


def _tags(example: Example, index: dict[str, int]) -> np.ndarray:
    """The gold tag index of each predicted token, -1 where there is none."""
    if np.array_equal(example.predicted.to_array(ORTH), example.reference.to_array(ORTH)):
        return _tags_of_doc(example.reference, index)
    return np.asarray([_tag(tag, index) for tag in example.get_aligned_ner()], dtype=np.int64)


def _tags_of_doc(doc: Doc, index: dict[str, int]) -> np.ndarray:
    iob, types = doc.to_array([ENT_IOB, ENT_TYPE]).reshape(-1, 2).astype(np.uint64).T
    tags = np.full(len(doc), -1, dtype=np.int64)
    tags[iob == _OUTSIDE] = OUTSIDE
    for label_hash in np.unique(types[(iob == _BEGIN) | (iob == _INSIDE)]):
        name = doc.vocab.strings[int(label_hash)]
        if not name:  # a span whose type is left open: any entity or none
            continue
        label = _index_of(name, index)
        tags[(types == label_hash) & (iob == _BEGIN)] = begin_tag(label)
        tags[(types == label_hash) & (iob == _INSIDE)] = inside_tag(label)
    return tags


def _tag(biluo: str | None, index: dict[str, int]) -> int:
    if biluo in (None, "-"):
        return -1
    if biluo == "O":
        return OUTSIDE
    prefix, _, name = str(biluo).partition("-")
    label = _index_of(name, index)
    return begin_tag(label) if prefix in "BU" else inside_tag(label)


def _index_of(name: str, index: dict[str, int]) -> int:
    if name not in index:
        raise ValueError(
            f"The annotation has the label {name!r}, the component was initialized with "
            f"{list(index)}. Initialize it with all labels, or map this one when converting."
        )
    return index[name]


def labels_of(docs: Iterable[Doc]) -> set[str]:
    """The entity types that occur in the posts."""
    return {entity.label_ for doc in docs for entity in doc.ents if entity.label_}
