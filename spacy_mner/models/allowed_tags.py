"""The tags that are allowed for every token: by the gold annotation, or around given entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE, ORTH
from spacy.tokens import Doc
from spacy.training import Example

from ..layers.decode.bio import OUTSIDE, begin_tag, inside_tag, n_tags

# spaCy's codes for token.ent_iob
_INSIDE, _OUTSIDE, _BEGIN = 1, 2, 3
# Of a token whose annotation is missing.
_MISSING = -1


def labels_of(docs: Iterable[Doc]) -> set[str]:
    """The entity labels that occur in the posts."""
    return {entity.label_ for doc in docs for entity in doc.ents if entity.label_}


def unannotated_labels(doc: Doc, labels: Iterable[str]) -> list[str]:
    """Return the labels that the corpus of a post does not annotate."""
    annotated = doc._.annotated_labels
    return [] if annotated is None else [label for label in labels if label not in annotated]


def tags_allowed_by_gold(examples: Sequence[Example], labels: Sequence[str]) -> np.ndarray:
    """The tags that agree with the gold annotation: bool [n_tokens, n_tags], tokens flat.

    The gold tag of a token, or all tags where its annotation is missing. A token outside of the
    gold entities may belong to an entity of a label that its corpus does not annotate
    (`doc._.annotated_labels`): `O` and the tags of these labels are allowed. The gold annotation of
    a span that does not align with the predicted tokens is missing.

    Raises ValueError for a gold label that is not in `labels`.
    """
    index = {label: i for i, label in enumerate(labels)}
    allowed = [_allowed_by_gold(example, index) for example in examples]
    return np.concatenate([np.ones((0, n_tags(len(labels))), dtype=bool), *allowed])


def tags_allowed_around(docs: Sequence[Doc], labels: Sequence[str]) -> np.ndarray:
    """The tags that leave the entities of the posts as they are: bool [n_tokens, n_tags].

    The tokens of an entity have its tags, or `O` where its label is not in `labels`. The token
    after an entity has no tag that would continue it. All other tags are allowed.
    """
    index = {label: i for i, label in enumerate(labels)}
    allowed = np.ones((sum(map(len, docs)), n_tags(len(labels))), dtype=bool)
    offset = 0
    for doc in docs:
        for entity in doc.ents:
            start, end = offset + entity.start, offset + entity.end
            label = index.get(entity.label_)
            allowed[start:end] = False
            allowed[start:end, OUTSIDE if label is None else inside_tag(label)] = True
            if label is not None:
                allowed[start] = False
                allowed[start, begin_tag(label)] = True
                if entity.end < len(doc):
                    allowed[end, inside_tag(label)] = False
        offset += len(doc)
    return allowed


def _allowed_by_gold(example: Example, index: dict[str, int]) -> np.ndarray:
    tags = _gold_tags(example, index)
    allowed = np.ones((len(tags), n_tags(len(index))), dtype=bool)
    (annotated,) = np.nonzero(tags != _MISSING)
    allowed[annotated] = False
    allowed[annotated, tags[annotated]] = True
    for name in unannotated_labels(example.reference, index):
        allowed[tags == OUTSIDE, begin_tag(index[name])] = True
        allowed[tags == OUTSIDE, inside_tag(index[name])] = True
    return allowed


def _gold_tags(example: Example, index: dict[str, int]) -> np.ndarray:
    """The gold tag of each predicted token: int64 [n_tokens]."""
    if np.array_equal(example.predicted.to_array(ORTH), example.reference.to_array(ORTH)):
        return _tags_of(example.reference, index)
    return np.asarray([_tag_of(tag, index) for tag in example.get_aligned_ner()], dtype=np.int64)


def _tags_of(doc: Doc, index: dict[str, int]) -> np.ndarray:
    iob, types = doc.to_array([ENT_IOB, ENT_TYPE]).reshape(-1, 2).astype(np.uint64).T
    tags = np.full(len(doc), _MISSING, dtype=np.int64)
    tags[iob == _OUTSIDE] = OUTSIDE
    for label_hash in np.unique(types[(iob == _BEGIN) | (iob == _INSIDE)]):
        name = doc.vocab.strings[int(label_hash)]
        if not name:  # a span without a label may be any entity, or none
            continue
        label = _index_of(name, index)
        tags[(types == label_hash) & (iob == _BEGIN)] = begin_tag(label)
        tags[(types == label_hash) & (iob == _INSIDE)] = inside_tag(label)
    return tags


def _tag_of(biluo: str | None, index: dict[str, int]) -> int:
    if biluo in (None, "-"):
        return _MISSING
    if biluo == "O":
        return OUTSIDE
    prefix, _, name = str(biluo).partition("-")
    if not name:
        return _MISSING
    label = _index_of(name, index)
    return begin_tag(label) if prefix in "BU" else inside_tag(label)


def _index_of(name: str, index: dict[str, int]) -> int:
    if name not in index:
        raise ValueError(
            f"The gold annotation has the label {name!r}, but the component was initialized with "
            f"{list(index)}. Initialize it with all labels, add this one with add_label(), or "
            "rename it with `spacy-mner convert --map`."
        )
    return index[name]
