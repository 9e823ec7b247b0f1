"""The network of `configs/mner_trf.cfg` in plain PyTorch and transformers, and its update.

It knows nothing of spaCy, Thinc or this package. A batch is padded to its longest post, as
everybody does; a fast tokenizer of transformers aligns words and pieces in the loop; distinct
tokens are spelled once; the CRFs are the package pytorch-crf. A post has all regions of an image,
or none, so that no region needs a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from handwritten import CRFLoss, forbid, grid_of
from posts import Post
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torchcrf import CRF
from transformers import AutoModel


@dataclass(frozen=True)
class Sizes:
    """Of the network and its dropouts, as the config has them."""

    n_characters: int
    character_width: int
    spelled_width: int
    n_regions: int
    image_dim: int
    width: int
    heads: int
    feedforward: int
    dropout: float
    character_dropout: float
    segmentation_weight: float


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # [n_posts, longest in pieces]
    attended: Tensor  # the same shape
    firsts: Tensor  # [n_posts, longest], column of the first piece of each token
    tags: Tensor  # [n_posts, longest]
    lengths: Tensor  # [n_posts]
    mask: Tensor  # [n_posts, longest]
    characters: Tensor  # [n_distinct, longest word]
    word_lengths: Tensor  # [n_distinct]
    distinct: Tensor  # [n_posts, longest], the place of every token among the distinct ones
    images: Tensor  # [n_posts, n_regions, dim]
    has_image: Tensor  # [n_posts]


class Collate:
    """Posts to tensors, by a tokenizer and dictionaries of the characters and tags."""

    def __init__(
        self, tokenizer: Any, character_ids: dict[str, int], tag_ids: dict[str, int], sizes: Sizes
    ) -> None:
        self.tokenizer = tokenizer
        self.character_ids = character_ids
        self.tag_ids = tag_ids
        self.image_shape = (sizes.n_regions, sizes.image_dim)

    def __call__(self, posts: Sequence[Post]) -> Batch:
        words = [post.words for post in posts]
        read = self.tokenizer(
            words, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt"
        )
        distinct: dict[str, int] = {}
        places = [[distinct.setdefault(word, len(distinct)) for word in p.words] for p in posts]
        spelled = [[self.character_ids.get(c, 1) for c in word] for word in distinct]
        tags = grid_of([[self.tag_ids[tag] for tag in post.tags] for post in posts])
        lengths = torch.tensor([len(one) for one in words])
        images = np.zeros((len(posts), *self.image_shape), dtype=np.float32)
        for i, post in enumerate(posts):
            if post.descriptor is not None:
                images[i] = post.descriptor
        return Batch(
            ids=read["input_ids"],
            attended=read["attention_mask"],
            firsts=grid_of([_first_pieces(read.word_ids(i)) for i in range(len(posts))]),
            tags=tags,
            lengths=lengths,
            mask=torch.arange(tags.shape[1]) < lengths.unsqueeze(1),
            characters=grid_of(spelled),
            word_lengths=torch.tensor([len(ids) for ids in spelled]),
            distinct=grid_of(places),
            images=torch.from_numpy(images),
            has_image=torch.tensor([post.descriptor is not None for post in posts]),
        )


def _first_pieces(of_piece: Sequence[int | None]) -> list[int]:
    return [c for c, w in enumerate(of_piece) if w is not None and w != of_piece[c - 1]]


class Cross(nn.Module):
    """A transformer layer where the first sequence asks the second."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, dropout = sizes.width, sizes.dropout
        self.attend = nn.MultiheadAttention(width, sizes.heads, dropout=dropout, batch_first=True)
        self.normalize_attended, self.normalize = nn.LayerNorm(width), nn.LayerNorm(width)
        self.think = nn.Sequential(
            nn.Linear(width, sizes.feedforward), nn.GELU(), nn.Linear(sizes.feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, asking: Tensor, asked: Tensor, ignored: Tensor | None = None) -> Tensor:
        heard, _ = self.attend(asking, asked, asked, key_padding_mask=ignored, need_weights=False)
        heard = self.normalize_attended(asking + self.dropout(heard))
        result: Tensor = self.normalize(heard + self.dropout(self.think(heard)))
        return result


class Tagger(nn.Module):
    """Encoder, characters and regions, with the attention across them of Liu et al. 2022."""

    def __init__(self, encoder: str, sizes: Sizes, tag_ids: dict[str, int]) -> None:
        super().__init__()
        width = sizes.width
        self.encoder = AutoModel.from_pretrained(encoder)
        self.characters = nn.Embedding(sizes.n_characters + 1, sizes.character_width, padding_idx=0)
        half = sizes.spelled_width // 2
        self.spell = nn.LSTM(sizes.character_width, half, bidirectional=True, batch_first=True)
        self.project_characters = nn.Linear(sizes.spelled_width, width)
        self.normalize = nn.LayerNorm(sizes.image_dim)
        self.project_image = nn.Linear(sizes.image_dim, width)
        self.read, self.read_auxiliary = Cross(sizes), Cross(sizes)
        self.project_direct, self.project_first = nn.Linear(width, width), nn.Linear(width, width)
        self.read_direct, self.read_first = Cross(sizes), Cross(sizes)
        self.ask, self.answer, self.ask_answered = Cross(sizes), Cross(sizes), Cross(sizes)
        self.gate = nn.Linear(2 * width, width)
        self.join, self.finish = nn.Linear(width, width), nn.Linear(2 * width, width)
        self.emit, self.emit_auxiliary = nn.Linear(width, len(tag_ids)), nn.Linear(width, 3)
        self.crf = CRF(len(tag_ids), batch_first=True)
        self.crf_auxiliary = CRF(3, batch_first=True)
        forbid(self.crf, tag_ids)
        forbid(self.crf_auxiliary, {"O": 0, "B-ENTITY": 1, "I-ENTITY": 2})
        self.segmentation_weight = sizes.segmentation_weight
        self.dropout = nn.Dropout(sizes.dropout)
        self.character_dropout = nn.Dropout(sizes.character_dropout)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Emissions [n_posts, longest, n_tags], in training those of B, I and O as well."""
        text = self.dropout(self._pieces(batch) + self._spelling(batch))
        read = self.read(text, text, ~batch.mask)
        seen = self.join(self.dropout(self._look(read, batch))).relu()
        emissions = self.emit(self.finish(torch.cat([read, seen], dim=2)))
        if not self.training:
            return emissions, None
        return emissions, self.emit_auxiliary(self.read_auxiliary(text, text, ~batch.mask))

    def loss(
        self, emissions: tuple[Tensor, Tensor | None], batch: Batch, of_crf: CRFLoss
    ) -> Tensor:
        """Of the annotation, mean over posts, and in training that of B, I and O."""
        typed, untyped = emissions
        loss = of_crf(self.crf, typed, batch.tags, batch.mask)
        if untyped is None:
            return loss
        auxiliary = of_crf(self.crf_auxiliary, untyped, without_types(batch.tags), batch.mask)
        return loss + self.segmentation_weight * auxiliary

    def _pieces(self, batch: Batch) -> Tensor:
        read = self.encoder(input_ids=batch.ids, attention_mask=batch.attended).last_hidden_state
        index = batch.firsts.unsqueeze(2).expand(-1, -1, read.shape[2])
        pieces: Tensor = self.dropout(read.gather(1, index))
        return pieces

    def _spelling(self, batch: Batch) -> Tensor:
        packed = pack_padded_sequence(
            self.characters(batch.characters), batch.word_lengths, True, enforce_sorted=False
        )
        _, (last, _) = self.spell(packed)
        words = self.character_dropout(torch.cat([last[0], last[1]], dim=1))
        return nn.functional.embedding(batch.distinct, self.project_characters(words))

    def _look(self, text: Tensor, batch: Batch) -> Tensor:
        regions = self.project_image(self.dropout(self.normalize(batch.images)))
        direct, first = self.project_direct(regions), self.project_first(regions)
        heard = self.ask(text, self.read_direct(direct, direct))
        answered = self.answer(self.read_first(first, first), text, ~batch.mask)
        around = self.ask_answered(text, answered)
        gate = self.gate(torch.cat([heard, around], dim=2)).sigmoid()
        mixed = gate * heard + (1 - gate) * around
        return mixed.masked_fill(~batch.has_image[:, None, None], 0)


class AdamWTwoRates:
    """Fused AdamW with a rate for the encoder and one for the rest; clips all gradients as one."""

    def __init__(
        self,
        network: nn.Module,
        *,
        learn_rate: float,
        encoder_learn_rate: float,
        weight_decay: float,
        clip: float,
    ) -> None:
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            rate = encoder_learn_rate if name.startswith("encoder.") else learn_rate
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": p, "lr": r, "weight_decay": d} for (r, d), p in groups.items()], fused=True
        )
        self.parameters = list(network.parameters())
        self.clip = clip

    def __call__(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()


def without_types(tags: Tensor) -> Tensor:
    """O, B and I of any type as 0, 1 and 2."""
    return torch.where(tags == 0, 0, (tags - 1) % 2 + 1)
