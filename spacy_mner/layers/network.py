"""The tagger's network: embed, fuse, encode, decode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .decode import Potentials
from .types import Features, Fused


@dataclass(frozen=True)
class NetworkOutput:
    """The output of the network for a batch.

    potentials: of the CRF.
    attention, region_attention: as in `Fused`.
    """

    potentials: Potentials
    attention: Tensor | None
    region_attention: Mapping[str, Tensor]


class TaggerNetwork(nn.Module):
    """Computes the potentials of the CRF from the features of all modalities.

    embed: modality name to embedder.
    fuse, encode, decode: the other stages, with matching widths. If the decoder has no auxiliary
        head, the fuser computes no vectors for one.
    """

    def __init__(
        self,
        *,
        embed: Mapping[str, nn.Module],
        fuse: Any,
        encode: Any,
        decode: Any,
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleDict()
        for name, embedder in embed.items():
            try:
                self.embed[name] = embedder
            except KeyError as error:
                raise ValueError(
                    f"model.embed.{name}: torch reserves the name {name!r} ({error.args[0]}). "
                    "Rename the modality."
                ) from error
        if decode.segmentation is None:
            fuse.auxiliary_width = None
        self.fuse = fuse
        self.encode = encode
        self.decode = decode

    def forward(
        self, features: Mapping[str, Features], lengths: Tensor, region_attention: bool = False
    ) -> NetworkOutput:
        """Potentials of all tokens, and attention if the fuser computes it.

        features: of each modality in `embed`. lengths: int64 [n_posts], on the CPU.
        region_attention: return it; this excludes torch's fused attention kernels.
        """
        embedded = {name: embed(features[name], lengths) for name, embed in self.embed.items()}
        fused = self.fuse(embedded, lengths, region_attention=region_attention)
        if not isinstance(fused, Fused):
            raise TypeError(f"model.fuse returned {type(fused).__name__}, expected Fused.")
        n_tokens = int(lengths.sum())
        _check_shape("fuse", fused.vectors, [n_tokens, self.fuse.width])
        encoded = self.encode(fused.vectors, lengths)
        _check_shape("encode", encoded, [n_tokens, self.encode.width])
        potentials = self.decode(encoded, lengths, fused.auxiliary)
        return NetworkOutput(potentials, fused.attention, fused.region_attention)

    def add_labels(self, n: int) -> None:
        """Append n labels to the decoder; see `CRF.add_labels`."""
        self.decode.add_labels(n)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The trainable parameters as parameter groups of torch.optim.

        params: list of parameters.
        is_pretrained: whether an embedder returns them from `pretrained_parameters()`.
        has_weight_decay: False for biases, normalizations and other vectors.
        """
        embedders: list[Any] = [
            e for e in self.embed.values() if hasattr(e, "pretrained_parameters")
        ]
        pretrained = {p for embedder in embedders for p in embedder.pretrained_parameters()}
        groups: dict[tuple[bool, bool], dict[str, Any]] = {}
        for parameter in self.parameters():
            if parameter.requires_grad:
                key = (parameter in pretrained, parameter.ndim > 1)
                group = {"params": [], "is_pretrained": key[0], "has_weight_decay": key[1]}
                groups.setdefault(key, group)["params"].append(parameter)
        return list(groups.values())

    @property
    def attention_bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest possible weight of a modality; None if there is no bound."""
        return getattr(self.fuse, "attention_bounds", None)


def _check_shape(stage: str, vectors: Tensor, expected: list[int]) -> None:
    """Raise ValueError for vectors of another shape, as a stage of a user's own may return them."""
    if [*vectors.shape] != expected:
        raise ValueError(
            f"model.{stage} returned vectors of shape {[*vectors.shape]}, expected "
            f"[n_tokens, width] = {expected}."
        )
