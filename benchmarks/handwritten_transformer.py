"""The network of `configs/mner_cross_modal.cfg` in plain PyTorch and transformers, and its update.

It uses neither spaCy nor Thinc nor this package. A batch is padded to its longest post; a fast
tokenizer of transformers aligns words and pieces in the loop; the characters of distinct tokens are
embedded once; the CRFs are those of pytorch-crf. A post has all regions of an image or none, so
that regions need no mask.
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
    """Widths and dropouts of the config."""

    n_characters: int
    character_width: int
    character_output_width: int
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
        encoded = self.tokenizer(
            words, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt"
        )
        distinct: dict[str, int] = {}
        places = [[distinct.setdefault(word, len(distinct)) for word in p.words] for p in posts]
        characters = [[self.character_ids.get(c, 1) for c in word] for word in distinct]
        tags = grid_of([[self.tag_ids[tag] for tag in post.tags] for post in posts])
        lengths = torch.tensor([len(one) for one in words])
        images = np.zeros((len(posts), *self.image_shape), dtype=np.float32)
        for i, post in enumerate(posts):
            if post.descriptor is not None:
                images[i] = post.descriptor
        return Batch(
            ids=encoded["input_ids"],
            attended=encoded["attention_mask"],
            firsts=grid_of([_first_pieces(encoded.word_ids(i)) for i in range(len(posts))]),
            tags=tags,
            lengths=lengths,
            mask=torch.arange(tags.shape[1]) < lengths.unsqueeze(1),
            characters=grid_of(characters),
            word_lengths=torch.tensor([len(ids) for ids in characters]),
            distinct=grid_of(places),
            images=torch.from_numpy(images),
            has_image=torch.tensor([post.descriptor is not None for post in posts]),
        )


def _first_pieces(of_piece: Sequence[int | None]) -> list[int]:
    return [c for c, w in enumerate(of_piece) if w is not None and w != of_piece[c - 1]]


class TransformerLayer(nn.Module):
    """A transformer layer with queries and keys from different sequences."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, dropout = sizes.width, sizes.dropout
        self.attention = nn.MultiheadAttention(
            width, sizes.heads, dropout=dropout, batch_first=True
        )
        self.attention_norm, self.output_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, sizes.feedforward), nn.GELU(), nn.Linear(sizes.feedforward, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        attended, _ = self.attention(queries, keys, keys, key_padding_mask=mask, need_weights=False)
        attended = self.attention_norm(queries + self.dropout(attended))
        output: Tensor = self.output_norm(attended + self.dropout(self.feedforward(attended)))
        return output


LAYERS = (
    "text_self_attention",
    "auxiliary_self_attention",
    "region_self_attention",
    "text_to_region",
    "region_self_attention_2",
    "region_to_text",
    "text_to_region_2",
)


class Tagger(nn.Module):
    """Encoder, characters and regions, with the cross-modal attention of Liu et al. 2022."""

    def __init__(self, encoder: str, sizes: Sizes, tag_ids: dict[str, int]) -> None:
        super().__init__()
        width = sizes.width
        self.encoder = AutoModel.from_pretrained(encoder)
        self.characters = nn.Embedding(sizes.n_characters + 1, sizes.character_width, padding_idx=0)
        half = sizes.character_output_width // 2
        self.character_lstm = nn.LSTM(
            sizes.character_width, half, bidirectional=True, batch_first=True
        )
        self.project_characters = nn.Linear(sizes.character_output_width, width)
        self.input_norm = nn.LayerNorm(sizes.image_dim)
        self.project_image = nn.Linear(sizes.image_dim, width)
        for name in LAYERS:
            setattr(self, name, TransformerLayer(sizes))
        self.region_projection = nn.Linear(width, width)
        self.region_projection_2 = nn.Linear(width, width)
        self.gate = nn.Linear(2 * width, width)
        self.image_projection = nn.Linear(width, width)
        self.output_projection = nn.Linear(2 * width, width)
        self.emission, self.auxiliary_emission = nn.Linear(width, len(tag_ids)), nn.Linear(width, 3)
        self.crf = CRF(len(tag_ids), batch_first=True)
        self.crf_auxiliary = CRF(3, batch_first=True)
        forbid(self.crf, tag_ids)
        forbid(self.crf_auxiliary, {"O": 0, "B-ENTITY": 1, "I-ENTITY": 2})
        self.segmentation_weight = sizes.segmentation_weight
        self.dropout = nn.Dropout(sizes.dropout)
        self.character_dropout = nn.Dropout(sizes.character_dropout)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Emissions [n_posts, longest, n_tags], in training those of B, I and O as well."""
        inputs = self.dropout(self._pieces(batch) + self._characters(batch))
        text = self.text_self_attention(inputs, inputs, ~batch.mask)
        image = self.image_projection(self.dropout(self._cross_attention(text, batch))).relu()
        emissions = self.emission(self.output_projection(torch.cat([text, image], dim=2)))
        if not self.training:
            return emissions, None
        auxiliary = self.auxiliary_self_attention(inputs, inputs, ~batch.mask)
        return emissions, self.auxiliary_emission(auxiliary)

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
        pieces = self.encoder(input_ids=batch.ids, attention_mask=batch.attended).last_hidden_state
        index = batch.firsts.unsqueeze(2).expand(-1, -1, pieces.shape[2])
        tokens: Tensor = self.dropout(pieces.gather(1, index))
        return tokens

    def _characters(self, batch: Batch) -> Tensor:
        packed = pack_padded_sequence(
            self.characters(batch.characters), batch.word_lengths, True, enforce_sorted=False
        )
        _, (last, _) = self.character_lstm(packed)
        words = self.character_dropout(torch.cat([last[0], last[1]], dim=1))
        return nn.functional.embedding(batch.distinct, self.project_characters(words))

    def _cross_attention(self, text: Tensor, batch: Batch) -> Tensor:
        regions = self.project_image(self.dropout(self.input_norm(batch.images)))
        projected = self.region_projection(regions)
        first = self.text_to_region(text, self.region_self_attention(projected, projected))
        projected = self.region_projection_2(regions)
        attended = self.region_self_attention_2(projected, projected)
        attended = self.region_to_text(attended, text, ~batch.mask)
        second = self.text_to_region_2(text, attended)
        gate = self.gate(torch.cat([first, second], dim=2)).sigmoid()
        mixed = gate * first + (1 - gate) * second
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
