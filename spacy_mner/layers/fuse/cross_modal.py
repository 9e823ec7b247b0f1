"""Cross-modal attention between text and image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ..ragged import from_grid, to_grid
from ..transformer_layer import TransformerLayer
from ..types import Embedded, Fused, RegionVectors
from .cross_attention import CrossAttention
from .gate import Gate
from .text_sum import TextSum, projection


class CrossModal(nn.Module):
    """Tokens attend to two granularities of the image: grid cells and objects.

        S  = Dropout(sum of the text)       T = Self(S)      T_aux = Self(S)
        H1 = Cross(T, Self(W_1 V))          H2 = Cross(T, Cross(Self(W_2 V), T))
        H3 = Cross(T, Self(E))              H4 = Cross(T, Cross(Self(E), T))
        F1 = g_1 * H1 + (1 - g_1) * H2      g_1 = sigmoid([H1; H2] A + b_1)
        F2 = g_2 * H3 + (1 - g_2) * H4      g_2 = sigmoid([H3; H4] B + b_2)
        F  = relu(W_f Dropout([F1; F2]))    output = W_z [T; F]

    (Liu et al. 2022, where g_2 is our 1 - g_2), for the grid cells V and the objects E. Cross(Q, K)
    is a transformer layer with queries Q and keys K, and Self(X) = Cross(X, X); each has its own
    weights. For the sum of the text and its gate see `TextSum`, for F1 and F2 `CrossAttention`.

    Without one granularity its half of [F1; F2] is left out; without both, the output is W_z T.

    widths: modality name to width, in the order of the embed mapping.
    width, heads, feedforward, dropout: of the transformer layers; `width` is that of the output.
    grid, objects: names of the modalities with the grid and the objects; None, or a name that is
        not in `widths`, to leave the granularity out.
    augmentation: the text modality that is gated if `augmentation_gate`.
    grid_gate, objects_gate: compute g_1 and g_2; otherwise F1 and F2 are means.
    region_first: compute H2 and H4; otherwise F1 = H1, F2 = H3, without gates.
    auxiliary: compute T_aux for the decoder's auxiliary head, in training, if it has one.
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
        if grid is not None and grid == objects:
            raise ValueError(
                f"model.fuse.grid and model.fuse.objects are both {grid!r}: name two modalities, "
                "or set one of them to null."
            )
        self.width = width
        self.auxiliary_width = width if auxiliary else None
        self.settings = {"grid": grid, "objects": objects}
        self.region_modalities = {
            role: name for role, name in self.settings.items() if name and name in widths
        }
        layer = partial(
            TransformerLayer, width=width, heads=heads, feedforward=feedforward, dropout=dropout
        )
        in_text = {n: w for n, w in widths.items() if n not in self.region_modalities.values()}
        if augmentation_gate and augmentation not in in_text:
            raise ValueError(
                f"model.fuse.augmentation = {augmentation!r} is not a text modality "
                f"({', '.join(map(repr, in_text))}): name one of these, or set "
                "model.fuse.augmentation_gate = false."
            )
        gated = augmentation if augmentation_gate else None
        self.text_sum = TextSum(widths=in_text, width=width, gated=gated, dropout=dropout)
        self.text_self_attention = layer()
        if auxiliary:
            self.auxiliary_self_attention = layer()
        # Objects are learned vectors, so that E has no projections as V does.
        projections: dict[str, Callable[[int, int], nn.Module]]
        projections = {"grid": nn.Linear, "objects": projection}
        has_gate = {"grid": grid_gate, "objects": objects_gate}
        self.cross_attention = nn.ModuleDict()
        for role, name in self.region_modalities.items():
            self.cross_attention[role] = CrossAttention(
                projection=partial(projections[role], widths[name], width),
                layer=layer,
                gate=Gate(width) if has_gate[role] and region_first else None,
                region_first=region_first,
            )
        self.dropout = nn.Dropout(dropout)
        n_roles = len(self.region_modalities)
        if n_roles:
            self.image_projection = nn.Linear(n_roles * width, width)
        self.output_projection = nn.Linear(2 * width if n_roles else width, width)

    def forward(
        self, embedded: Mapping[str, Embedded], lengths: Tensor, *, region_attention: bool = False
    ) -> Fused:
        self._check_modalities(embedded)
        inputs, is_token = to_grid(self.text_sum(embedded), lengths)
        text, _ = self.text_self_attention(inputs, inputs, is_token)
        image: list[Tensor] = []
        attention: dict[str, Tensor] = {}
        for role, name in self.region_modalities.items():
            output, weights = self.cross_attention[role](
                text, is_token, embedded[name], need_weights=region_attention
            )
            image.append(from_grid(output, lengths))
            if region_attention:
                attention[name] = from_grid(weights, lengths)
        tokens = from_grid(text, lengths)
        if image:
            projected = self.image_projection(self.dropout(torch.cat(image, dim=1)))
            tokens = torch.cat([tokens, projected.relu()], dim=1)
        auxiliary = None
        if self.auxiliary_width is not None and self.training:
            auxiliary, _ = self.auxiliary_self_attention(inputs, inputs, is_token)
            auxiliary = from_grid(auxiliary, lengths)
        return Fused(self.output_projection(tokens), None, attention, auxiliary)

    def _check_modalities(self, embedded: Mapping[str, Embedded]) -> None:
        """Raise ValueError for a modality of the wrong kind, known only once it is embedded."""
        with_regions = {n for n, m in embedded.items() if isinstance(m, RegionVectors)}
        for role, name in self.region_modalities.items():
            if name not in with_regions:
                raise ValueError(
                    f"model.fuse.{role} = {name!r} is a modality with a vector per token: name a "
                    "modality with regions, or null."
                )
        if len(with_regions) == len(embedded):
            raise ValueError(
                "CrossModal needs a modality with a vector per token, and model.embed has only "
                f"modalities with regions ({sorted(with_regions)}): add a text modality."
            )
        gated, text = self.text_sum.gated, sorted(embedded.keys() - with_regions)
        if gated is not None and (gated not in text or len(text) == 1):
            raise ValueError(
                f"model.fuse.augmentation = {gated!r} must be one of at least two modalities with "
                f"a vector per token, and model.embed has {text}: change it, add a text modality, "
                "or set model.fuse.augmentation_gate = false."
            )
        # A role that is null leaves modalities out on purpose; a name that matches no modality may
        # be misspelled.
        unused = with_regions - set(self.region_modalities.values())
        names = set(self.settings.values())
        if unused and (None not in names or not names - {None} <= embedded.keys()):
            settings = ", ".join(f"{role} = {name!r}" for role, name in self.settings.items())
            raise ValueError(
                f"model.fuse does not use the regions of {sorted(unused)}: it has {settings}. Name "
                "them there, or set them to null in model.embed."
            )
