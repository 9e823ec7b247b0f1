"""PostBatch: posts as the arrays their tokens share, before any modality looks at them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vocab import Vocab

# Key of doc.user_data under which a reader leaves the name that the corpus gives to a post.
POST_ID = "post_id"
# Key of doc.user_data under which a reader leaves the probability that a post does without its
# images in a step of training. It is drawn here and not by the reader, because spaCy reads a
# corpus once and shuffles what it read: the same posts would go without in every epoch.
IMAGE_DROPOUT = "image_dropout"


@dataclass
class PostBatch:
    """Posts laid flat: tokens one after the other, each pointing to its distinct form.

    docs: the posts.
    lengths: int64 [n_posts], tokens of each post (0 allowed).
    forms: uint64 [n_distinct], hashes of the distinct token texts.
    token: int64 [n_tokens], each token's index into `forms`.
    images_root: folder that relative image paths are relative to, or None.
    image_status: what became of each post's images; "" until a modality has looked at them.
    without_image: posts whose images are not to be looked at in this step of training.
    """

    docs: Sequence[Doc]
    lengths: np.ndarray
    forms: np.ndarray
    token: np.ndarray
    images_root: Path | None = None
    image_status: list[str] = field(default_factory=list)
    without_image: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image_status = self.image_status or [""] * len(self.docs)
        self.without_image = self.without_image or [False] * len(self.docs)

    @classmethod
    def from_docs(cls, docs: Sequence[Doc], images_root: Path | None = None) -> PostBatch:
        orths = [doc.to_array(ORTH).astype(np.uint64).reshape(-1) for doc in docs]
        flat = np.concatenate(orths) if orths else np.zeros(0, dtype=np.uint64)
        forms, token = np.unique(flat, return_inverse=True)
        lengths = np.asarray([len(doc) for doc in docs], dtype=np.int64)
        return cls(docs, lengths, forms, token.astype(np.int64).reshape(-1), images_root)

    def drop_images(self) -> None:
        """Draw the posts that do without their images in this step of training."""
        rates = [doc.user_data.get(IMAGE_DROPOUT, 0.0) for doc in self.docs]
        self.without_image = [rate > 0.0 and random.random() < rate for rate in rates]

    @property
    def vocab(self) -> Vocab:
        return self.docs[0].vocab

    @cached_property
    def words(self) -> list[str]:
        """The distinct token texts, in the order of `forms`."""
        strings = self.vocab.strings
        return [strings[int(form)] for form in self.forms]


def batch_by_padded_size(lengths: Iterable[int], budget: int) -> list[list[int]]:
    """Group posts so that each group's padded grid (posts x longest) is at most `budget` tokens.

    Posts of similar length come together, longest first, so that little of a grid is padding.
    Returns the groups as lists of indices into `lengths`; a post longer than the budget is
    a group of its own.
    """
    order = sorted(enumerate(lengths), key=lambda item: -item[1])
    groups: list[list[int]] = []
    longest = 0
    for index, length in order:
        if not groups or (len(groups[-1]) + 1) * longest > budget:
            groups.append([])
            longest = max(length, 1)
        groups[-1].append(index)
    return groups
