"""The text asks the image, and the image the text: attention across modalities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ..ragged import from_grid, to_grid
from ..sizes import check_sizes
from ..transformer_layer import TransformerLayer
from ..types import Embedded, Fused, RegionVectors
from .gate import Gate
from .granularity import Granularity
from .text import TextSum, projection


class CrossModal(nn.Module):
    """Tokens that have looked at two granularities of the image: its grid and its objects.

        S  = Dropout(sum of the text)       T = Self(S)      T_aux = Self(S)
        H1 = Cross(T, Self(W_1 V))          H2 = Cross(T, Cross(Self(W_2 V), T))
        H3 = Cross(T, Self(E))              H4 = Cross(T, Cross(Self(E), T))
        F1 = g_1 * H1 + (1 - g_1) * H2      g_1 = sigmoid([H1; H2] A + b_1)
        F2 = g_2 * H3 + (1 - g_2) * H4      g_2 = sigmoid([H3; H4] B + b_2)
        F  = relu(W_f Dropout([F1; F2]))    result = W_z [T; F]

    (Liu et al. 2022, where g_2 is our 1 - g_2), for the regions V of the grid and the objects E.
    Cross(Q, K) is a transformer layer where Q asks K, and Self(X) = Cross(X, X); each has weights
    of its own. `TextSum` says what the text is, and how the augmentation is gated.

    A granularity that the network lacks leaves its half of [F1; F2] out; without both, the result
    is W_z T. In a post without any region, its half is zero.

    widths: the width of every modality, in the order of the embed mapping.
    width, heads, feedforward, dropout: of the transformer layers; `width` is that of the result.
    grid, objects: the modalities that hold the regions of the image and the objects in it. None,
        or a name that is not in `widths`, for a network without.
    augmentation: the modality that the gate of the text is for, if `augmentation_gate`; it has a
        vector per token, and is not the only one that has.
    grid_gate, objects_gate: g_1 and g_2; without, F1 and F2 are means.
    region_first: with H2 and H4; without, F1 = H1, F2 = H3, and there is nothing to gate.
    auxiliary: with T_aux, for the auxiliary head of the decoder. It is made in training alone, and
        only where the decoder has such a head (`TaggerNetwork` says so by `auxiliary_width`).
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        width: int,
        heads: int,
        feedforward: int,
        dropout: float,
        grid: str | None,
        objects: str | None,
        augmentation: str | None,
        grid_gate: bool,
        objects_gate: bool,
        augmentation_gate: bool,
        region_first: bool,
        auxiliary: bool,
    ) -> None:
        super().__init__()
        check_sizes("CrossModal", width=width, heads=heads, feedforward=feedforward)
        if grid is not None and grid == objects:
            raise ValueError(f"grid and objects must be two modalities, not {grid!r} twice")
        if augmentation_gate and augmentation is None:
            raise ValueError(
                "model.fuse has augmentation_gate = true, and augmentation = null names nothing to "
                "gate: name a modality, or set `augmentation_gate` to false"
            )
        self.width = width
        self.auxiliary_width = width if auxiliary else None
        self.asked = {"grid": grid, "objects": objects}
        self.memories = {part: name for part, name in self.asked.items() if name and name in widths}
        layer = partial(
            TransformerLayer, width=width, heads=heads, feedforward=feedforward, dropout=dropout
        )
        self.read_text = TextSum(
            widths={n: w for n, w in widths.items() if n not in self.memories.values()},
            width=width,
            gated=augmentation if augmentation_gate else None,
            dropout=dropout,
        )
        self.read = layer()
        if auxiliary:
            self.read_auxiliary = layer()
        # Objects are learned vectors already, so that E needs no matrices as V does.
        project: dict[str, Callable[[int, int], nn.Module]]
        project = {"grid": nn.Linear, "objects": projection}
        gated = {"grid": grid_gate, "objects": objects_gate}
        self.look = nn.ModuleDict()
        for part, name in self.memories.items():
            self.look[part] = Granularity(
                project=partial(project[part], widths[name], width),
                layer=layer,
                gate=Gate(width) if gated[part] and region_first else None,
                region_first=region_first,
            )
        n_parts = len(self.memories)
        if n_parts:
            self.join = nn.Linear(n_parts * width, width)
        self.dropout = nn.Dropout(dropout)
        self.finish = nn.Linear(2 * width if n_parts else width, width)

    def forward(
        self, embedded: Mapping[str, Embedded], lengths: Tensor, *, region_attention: bool = False
    ) -> Fused:
        self._check(embedded)
        text, is_token = to_grid(self.read_text(embedded), lengths)
        read, _ = self.read(text, text, is_token)
        seen, attention = self._look(read, is_token, embedded, region_attention)
        tokens = from_grid(torch.cat([read, *seen], dim=2), lengths)
        if seen:
            joined = self.join(self.dropout(tokens[:, self.width :]))
            tokens = torch.cat([tokens[:, : self.width], joined.relu()], dim=1)
        return Fused(
            self.finish(tokens),
            attention=None,
            region_attention={name: from_grid(part, lengths) for name, part in attention.items()}
            if region_attention
            else None,
            auxiliary=self._auxiliary(text, is_token, lengths),
        )

    def _look(
        self,
        text: Tensor,
        is_token: Tensor,
        embedded: Mapping[str, Embedded],
        keep_weights: bool,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """F1 and F2, as far as the network has them, and the weights that are kept."""
        seen: list[Tensor] = []
        attention: dict[str, Tensor] = {}
        for part, name in self.memories.items():
            look = self.look[part]
            heard, weights = look(text, is_token, embedded[name], keep_weights=keep_weights)
            seen.append(heard)
            if weights is not None:
                attention[name] = weights
        return seen, attention

    def _auxiliary(self, text: Tensor, is_token: Tensor, lengths: Tensor) -> Tensor | None:
        if self.auxiliary_width is None or not self.training:
            return None
        return from_grid(self.read_auxiliary(text, text, is_token)[0], lengths)

    def _check(self, embedded: Mapping[str, Embedded]) -> None:
        """Refuse modalities of the wrong kind; which kind each one is shows only here."""
        with_regions = {n for n, m in embedded.items() if isinstance(m, RegionVectors)}
        for part, name in self.memories.items():
            if name not in with_regions:
                raise ValueError(
                    f"model.fuse names {name!r} as its {part}, but that modality has a vector per "
                    "token: name one that holds regions, or null"
                )
        if len(with_regions) == len(embedded):
            raise ValueError(
                "cross-modal attention needs a modality with a vector per token that asks the "
                f"image, and [model.embed] has only {sorted(with_regions)}"
            )
        self._check_gate(with_regions)
        # A name that is nowhere may be that of a modality taken out, or misspelt.
        left = with_regions - set(self.memories.values())
        left_out = [part for part, name in self.asked.items() if name is None]
        misses = len(self.memories) + len(left_out) < len(self.asked)
        if left and (misses or not left_out):
            asked = ", ".join(f"{part} = {name!r}" for part, name in self.asked.items())
            raise ValueError(
                f"nobody asks the regions of {sorted(left)}: model.fuse has {asked}. Name them "
                "there, or set them to null in [model.embed]"
            )

    def _check_gate(self, with_regions: set[str]) -> None:
        gated = self.read_text.gated
        if gated in with_regions:
            raise ValueError(
                f"model.fuse names {gated!r} as its augmentation, but that modality holds regions: "
                "name one with a vector per token, or set `augmentation_gate` to false"
            )
        if set(self.read_text.names) - with_regions == {gated}:
            raise ValueError(
                f"the gate of model.fuse weighs {gated!r} against the rest of the text, and there "
                "is no rest: add a modality with a vector per token to [model.embed], or set "
                "`augmentation_gate` to false"
            )
