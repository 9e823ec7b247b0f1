"""The whole tagger: embed, fuse, encode, decode."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from .decode import Potentials
from .types import Features


class TaggerNetwork(nn.Module):
    """From the features of all modalities to the potentials of the CRF.

    embed: an embedder for each modality, by the modality's name.
    fuse, encode, decode: the other stages, built for one another's widths.
    """

    def __init__(
        self,
        *,
        embed: Mapping[str, nn.Module],
        fuse: nn.Module,
        encode: nn.Module,
        decode: nn.Module,
    ) -> None:
        super().__init__()
        self.embed = nn.ModuleDict()
        for name, embedder in embed.items():
            self._add_modality(name, embedder)
        self.fuse = fuse
        self.encode = encode
        self.decode = decode

    def forward(
        self, features: Mapping[str, Features], lengths: Tensor
    ) -> tuple[Potentials, Tensor | None]:
        """Potentials, and the attention [n_tokens, n_modalities] of a fuser that weighs.

        features: of every modality in `embed`. lengths: int64 [n_posts], on the CPU.
        """
        embedded = {name: embed(features[name], lengths) for name, embed in self.embed.items()}
        fused = self.fuse(embedded, lengths)
        encoded = self.encode(fused.vectors, lengths)
        return self.decode(encoded, lengths), fused.attention

    def _add_modality(self, name: str, embedder: nn.Module) -> None:
        try:
            self.embed[name] = embedder
        except KeyError as error:
            raise ValueError(
                f"a modality cannot be called {name!r}, which torch keeps for itself "
                f"({error.args[0]}): rename it in [model.embed]"
            ) from error
