"""The whole tagger: embed, fuse, encode, decode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .decode import Potentials
from .types import Features


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says of a batch.

    potentials: of the CRF.
    attention, region_attention: as the fuser tells them (`Fused`).
    regions: of each modality in `region_attention`, bool [n_posts, n_regions]: those a post has.
    """

    potentials: Potentials
    attention: Tensor | None
    region_attention: Mapping[str, Tensor] | None
    regions: Mapping[str, Tensor]


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share their learning rate and their weight decay."""

    parameters: list[nn.Parameter]
    is_pretrained: bool
    has_weight_decay: bool


class TaggerNetwork(nn.Module):
    """From the features of all modalities to the potentials of the CRF.

    embed: an embedder for each modality, by the modality's name.
    fuse, encode, decode: the other stages, built for one another's widths. Where the decoder has
        no auxiliary head, the fuser makes no vectors for one, whatever it was built for.
    """

    def __init__(
        self,
        *,
        embed: Mapping[str, nn.Module],
        fuse: Any,
        encode: nn.Module,
        decode: Any,
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleDict()
        for name, embedder in embed.items():
            self._add_modality(name, embedder)
        if decode.segmentation is None:
            fuse.auxiliary_width = None
        self.fuse = fuse
        self.encode = encode
        self.decode = decode

    def forward(
        self, features: Mapping[str, Features], lengths: Tensor, region_attention: bool = False
    ) -> NetworkOutput:
        """The potentials of the posts' tokens, and what they attend to.

        features: of every modality in `embed`. lengths: int64 [n_posts], on the CPU.
        region_attention: tell how tokens attend to regions, which forgoes torch's fast attention.
        """
        embedded = {name: embed(features[name], lengths) for name, embed in self.embed.items()}
        fused = self.fuse(embedded, lengths, region_attention=region_attention)
        encoded = self.encode(fused.vectors, lengths)
        potentials = self.decode(encoded, lengths, fused.auxiliary)
        regions = {name: embedded[name].available for name in fused.region_attention or ()}
        return NetworkOutput(potentials, fused.attention, fused.region_attention, regions)

    def add_labels(self, n: int) -> None:
        """Append n labels to the decoder; see `CRF.add_labels`."""
        self.decode.add_labels(n)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The trainable parameters, grouped by how an optimizer treats them.

        Pretrained are those that an embedder returns from `pretrained_parameters()`. Biases,
        normalizations and other vectors get no weight decay.
        """
        embedders: list[Any] = [
            e for e in self.embed.values() if hasattr(e, "pretrained_parameters")
        ]
        pretrained = {p for embedder in embedders for p in embedder.pretrained_parameters()}
        groups: dict[tuple[bool, bool], ParameterGroup] = {}
        for parameter in self.parameters():
            if parameter.requires_grad:
                key = (parameter in pretrained, parameter.ndim > 1)
                groups.setdefault(key, ParameterGroup([], *key)).parameters.append(parameter)
        return list(groups.values())

    def _add_modality(self, name: str, embedder: nn.Module) -> None:
        try:
            self.embed[name] = embedder
        except KeyError as error:
            raise ValueError(
                f"a modality cannot be called {name!r}, which torch keeps for itself "
                f"({error.args[0]}): rename it in [model.embed]"
            ) from error
