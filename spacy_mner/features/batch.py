"""PostBatch: posts as the arrays that their tokens share, the input of every featurizer."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..extensions import IMAGE_DROPOUT

CPU = torch.device("cpu")


@dataclass(frozen=True)
class PostBatch:
    """A batch of posts with flat tokens, each an index into the distinct token texts.

    docs: the posts.
    lengths: int64 [n_posts], tokens of each post (0 allowed).
    words: the distinct token texts.
    token: int64 [n_tokens], each token's index into `words`.
    device: of the component's network; frozen image networks compute on it too.
    is_train: whether the batch is that of a training step.
    without_image: posts whose images are masked in this training step (image dropout).
    """

    docs: Sequence[Doc]
    lengths: np.ndarray
    words: list[str]
    token: np.ndarray
    device: torch.device
    is_train: bool
    without_image: Sequence[bool]

    @classmethod
    def from_docs(
        cls, docs: Sequence[Doc], *, device: torch.device = CPU, is_train: bool = False
    ) -> PostBatch:
        """Return the batch of these posts; image dropout is drawn if `is_train`."""
        orths = [doc.to_array(ORTH).astype(np.uint64).reshape(-1) for doc in docs]
        flat = np.concatenate(orths) if orths else np.zeros(0, dtype=np.uint64)
        distinct, token = np.unique(flat, return_inverse=True)
        words = [docs[0].vocab.strings[orth] for orth in distinct.tolist()]
        lengths = np.asarray([len(doc) for doc in docs], dtype=np.int64)
        token = token.astype(np.int64).reshape(-1)
        without_image = [is_train and _drop_image(doc) for doc in docs]
        return cls(docs, lengths, words, token, device, is_train, without_image)

    @property
    def vocab(self) -> Vocab:
        return self.docs[0].vocab


def _drop_image(doc: Doc) -> bool:
    rate = doc.user_data.get(IMAGE_DROPOUT, 0.0)
    return rate > 0.0 and random.random() < rate


def batch_by_padded_size(lengths: Iterable[int], budget: int) -> list[list[int]]:
    """Group posts so that the padded grid of each group (posts x longest) is at most `budget`.

    Posts are sorted by length, longest first, to minimize padding. Returns the groups as lists
    of indices into `lengths`; a post longer than the budget is a group of its own.
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
