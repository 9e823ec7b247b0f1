"""The reference of the benchmarks: the same network in a plain PyTorch training loop.

It uses neither spaCy nor Thinc nor this package. Posts of a batch are padded to a grid, the
characters of the distinct tokens of a batch are embedded once, both LSTMs run over packed
sequences, and the CRF is that of pytorch-crf. Strings are converted to ids in the loop, as in the
`collate_fn` of a DataLoader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from clock import StageClock
from posts import Post
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchcrf import CRF

FORBIDDEN = -1e4
CRFLoss = Callable[[CRF, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Sizes:
    """Of the network; `word_vectors` float [n_rows, dim], row 0 for unknown words."""

    word_vectors: Tensor
    n_characters: int
    character_width: int
    image_dim: int
    width: int
    hidden_width: int
    dropout: float


@dataclass(frozen=True)
class Batch:
    words: Tensor  # [n_posts, longest], 0 for unknown words and padding
    characters: Tensor  # [n_distinct, longest word]
    word_lengths: Tensor  # [n_distinct]
    distinct: Tensor  # [n_posts, longest], the index of each token among the distinct ones
    lengths: Tensor  # [n_posts]
    mask: Tensor  # [n_posts, longest]
    images: Tensor  # [n_posts, dim]
    has_image: Tensor  # [n_posts]
    tags: Tensor  # [n_posts, longest]


class Collate:
    """Converts posts to tensors with vocabularies of words, characters and tags."""

    def __init__(
        self,
        word_ids: dict[str, int],
        character_ids: dict[str, int],
        tag_ids: dict[str, int],
        images: dict[str, Tensor],
        image_dim: int,
    ) -> None:
        self.word_ids = word_ids
        self.character_ids = character_ids
        self.tag_ids = tag_ids
        self.features = images
        self.image_dim = image_dim

    def __call__(self, posts: Sequence[Post]) -> Batch:
        distinct: dict[str, int] = {}
        places = [[distinct.setdefault(word, len(distinct)) for word in p.words] for p in posts]
        words = [self._word_id(word) for word in distinct]
        spelled = [[self.character_ids.get(c, 1) for c in word] for word in distinct]
        distinct_grid = grid_of(places)
        lengths = torch.tensor([len(post.words) for post in posts])
        mask = torch.arange(distinct_grid.shape[1]) < lengths.unsqueeze(1)
        images = torch.zeros(len(posts), self.image_dim)
        has_image = torch.zeros(len(posts), dtype=torch.bool)
        for i, post in enumerate(posts):
            image = self._image(post)
            if image is not None:
                images[i], has_image[i] = image, True
        return Batch(
            words=torch.tensor(words)[distinct_grid] * mask,
            characters=grid_of(spelled),
            word_lengths=torch.tensor([len(ids) for ids in spelled]),
            distinct=distinct_grid,
            lengths=lengths,
            mask=mask,
            images=images,
            has_image=has_image,
            tags=grid_of([[self.tag_ids[tag] for tag in post.tags] for post in posts]),
        )

    def _word_id(self, word: str) -> int:
        known = self.word_ids.get(word)
        return self.word_ids.get(word.lower(), 0) if known is None else known

    def _image(self, post: Post) -> Tensor | None:
        if post.descriptor is not None:
            return torch.from_numpy(post.descriptor)
        return None if post.image is None else self.features[post.image]


def grid_of(rows: list[list[int]]) -> Tensor:
    """Rows of ids as one tensor, padded with 0."""
    return torch.tensor(list(zip_longest(*rows, fillvalue=0))).T


class Tagger(nn.Module):
    """Word, character and image, fused by modality attention, and a BiLSTM-CRF."""

    def __init__(self, sizes: Sizes, tag_ids: dict[str, int]) -> None:
        super().__init__()
        vectors, width = sizes.word_vectors, sizes.width
        self.words = nn.Embedding.from_pretrained(vectors, freeze=True)
        self.unknown_vector = nn.Parameter(torch.zeros(vectors.shape[1]))
        self.project_word = nn.Linear(vectors.shape[1], width)
        self.characters = nn.Embedding(sizes.n_characters + 1, sizes.character_width, padding_idx=0)
        self.character_lstm = nn.LSTM(
            sizes.character_width, width // 2, bidirectional=True, batch_first=True
        )
        self.input_norm = nn.LayerNorm(sizes.image_dim)
        self.project_image = nn.Linear(sizes.image_dim, width)
        self.score = nn.Linear(3 * width, 3)
        self.lstm = nn.LSTM(width, sizes.hidden_width, bidirectional=True, batch_first=True)
        self.emission = nn.Linear(2 * sizes.hidden_width, len(tag_ids))
        self.crf = CRF(len(tag_ids), batch_first=True)
        self.dropout = nn.Dropout(sizes.dropout)
        forbid(self.crf, tag_ids)

    def forward(self, batch: Batch) -> Tensor:
        """Emissions [n_posts, longest, n_tags]."""
        vectors = torch.stack(
            [self._word(batch), self._characters(batch), self._image(batch)], dim=2
        )
        scores = self.score(vectors.flatten(2)).sigmoid()
        absent = torch.zeros_like(scores, dtype=torch.bool)
        absent[:, :, 2] = ~batch.has_image.unsqueeze(1)
        attention = scores.masked_fill(absent, -torch.inf).softmax(dim=2)
        fused = self.dropout((attention.unsqueeze(3) * vectors).sum(dim=2))
        packed = pack_padded_sequence(fused, batch.lengths, True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        emissions: Tensor = self.emission(self.dropout(states))
        return emissions

    def loss(self, emissions: Tensor, batch: Batch, of_crf: CRFLoss) -> Tensor:
        """Of the annotation, mean over posts."""
        return of_crf(self.crf, emissions, batch.tags, batch.mask)

    def _word(self, batch: Batch) -> Tensor:
        known = (batch.words != 0).unsqueeze(2)
        vectors = torch.where(known, self.words(batch.words), self.unknown_vector)
        projected: Tensor = self.project_word(self.dropout(vectors))
        return projected

    def _characters(self, batch: Batch) -> Tensor:
        packed = pack_padded_sequence(
            self.characters(batch.characters), batch.word_lengths, True, enforce_sorted=False
        )
        _, (last, _) = self.character_lstm(packed)
        words = self.dropout(torch.cat([last[0], last[1]], dim=1))
        return nn.functional.embedding(batch.distinct, words)

    def _image(self, batch: Batch) -> Tensor:
        vectors = self.project_image(self.dropout(self.input_norm(batch.images)))
        vectors = vectors.masked_fill(~batch.has_image.unsqueeze(1), 0)
        return vectors.unsqueeze(1).expand(-1, batch.words.shape[1], -1)


def forbid(crf: CRF, tag_ids: dict[str, int]) -> None:
    """BIO constraints as usual with pytorch-crf: very low initial scores."""
    with torch.no_grad():
        for tag, i in tag_ids.items():
            if tag.startswith("I-"):
                crf.start_transitions[i] = FORBIDDEN
                for before, j in tag_ids.items():
                    if before[2:] != tag[2:]:
                        crf.transitions[j, i] = FORBIDDEN


def crf_loss(crf: CRF, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
    """Negative log-likelihood of the annotation, mean over posts."""
    loss: Tensor = -crf(emissions, tags, mask, reduction="mean")
    return loss


class AdamWithAverages:
    """Adam with clipping per parameter and averages of the parameters, as Thinc's.

    average: keep an exponential average of the weights.
    """

    def __init__(
        self, network: nn.Module, *, learn_rate: float, clip: float, average: bool
    ) -> None:
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=learn_rate, fused=True)
        self.clip = clip
        self.averages = [p.detach().clone() for p in self.parameters] if average else []
        self.n_steps = 0

    def __call__(self) -> None:
        for parameter in self.parameters:
            clip_grad_norm_(parameter, self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.averages:
            self.n_steps += 1
            decay = min((1 + self.n_steps) / (10 + self.n_steps), 0.9999)
            torch._foreach_lerp_(self.averages, self.parameters, 1 - decay)


class TrainingLoop:
    """One training step at a time.

    network: computes emissions from a batch; its method `loss` computes their loss.
    collate: converts posts to a batch.
    update: updates the parameters and removes their gradients.
    of_crf: (crf, emissions, tags, mask) -> loss of a CRF.
    """

    def __init__(
        self,
        network: Any,
        collate: Callable[[Sequence[Post]], Any],
        update: Callable[[], None],
        clock: StageClock,
        of_crf: CRFLoss = crf_loss,
    ) -> None:
        self.network = network.train()
        self.collate = collate
        self.update = update
        self.clock = clock
        self.of_crf = of_crf

    def step(self, posts: Sequence[Post]) -> float:
        with self.clock("featurize"):
            batch = self.collate(posts)
        with self.clock("forward"):
            emissions = self.network(batch)
        with self.clock("loss"):
            loss = self.network.loss(emissions, batch, self.of_crf)
        with self.clock("backward"):
            loss.backward()
        with self.clock("optimizer"):
            self.update()
        return float(loss.item())
