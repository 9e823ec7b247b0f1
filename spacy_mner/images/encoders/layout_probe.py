"""Finding the final hidden layer and the last feature map of a classifier, whatever its class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Where features are found in a network.

    classifier: name of the last layer, whose input is the final hidden layer.
    feature_map: name of the last module that gives a map (or a sequence) of vectors.
    dim, map_dim: width of the final hidden layer, and of a cell of the map.
    n_cells: cells of the map.
    """

    classifier: str
    feature_map: str
    dim: int
    map_dim: int
    n_cells: int


@dataclass
class Seen:
    """What passed the watched places: `vector` [n, dim] and `cells` [n, n_cells, map_dim]."""

    _tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def vector(self) -> Tensor:
        hidden = self._tensors["hidden"]
        # A convolution as the last layer (SqueezeNet) has a map as its input.
        return hidden.flatten(2).mean(2) if hidden.dim() == 4 else hidden

    @property
    def cells(self) -> Tensor:
        grid = self._tensors["map"]
        # A sequence (vision transformers) has the class token ahead of the patches.
        return grid.flatten(2).transpose(1, 2) if grid.dim() == 4 else grid[:, 1:]


@contextmanager
def watch(network: nn.Module, layout: Layout) -> Iterator[Seen]:
    """Keep the final hidden layer and the last feature map of one forward pass."""
    seen = Seen()

    def keep_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen._tensors["hidden"] = inputs[0]

    def keep_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen._tensors["map"] = output

    handles = [
        network.get_submodule(layout.classifier).register_forward_pre_hook(keep_input),
        network.get_submodule(layout.feature_map).register_forward_hook(keep_output),
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def find_layout(network: nn.Module, inputs: Tensor, n_classes: int) -> Layout:
    """Run the network once, on the meta device if it lies there, and see what passes through.

    Raises ValueError for a network without a final layer of `n_classes` or without a feature map.
    """
    classifier, feature_map = _find_names(network, inputs, n_classes)
    layout = Layout(classifier, feature_map, dim=0, map_dim=0, n_cells=0)
    with torch.inference_mode(), watch(network, layout) as seen:
        network(inputs)
    n_cells, map_dim = seen.cells.shape[1:]
    return Layout(classifier, feature_map, seen.vector.shape[1], map_dim, n_cells)


def _find_names(network: nn.Module, inputs: Tensor, n_classes: int) -> tuple[str, str]:
    passed: list[tuple[str, nn.Module, Any]] = []
    handles = [
        module.register_forward_hook(
            lambda module, _, output, name=name: passed.append((name, module, output))
        )
        for name, module in network.named_modules()
    ]
    try:
        with torch.inference_mode():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    last = [i for i, (_, module, _) in enumerate(passed) if _classifies(module, n_classes)]
    maps = [name for name, _, output in passed[: last[-1] if last else 0] if _is_map(output)]
    if not maps:
        raise ValueError(
            f"{type(network).__name__} is no image classifier of {n_classes} classes over a map"
        )
    return passed[last[-1]][0], maps[-1]


def _classifies(module: nn.Module, n_classes: int) -> bool:
    if isinstance(module, nn.Linear):
        return module.out_features == n_classes
    return isinstance(module, nn.Conv2d) and module.out_channels == n_classes


def _is_map(output: Any) -> bool:
    if not isinstance(output, Tensor):
        return False
    return (output.dim() == 4 and output.shape[2:].numel() > 1) or (
        output.dim() == 3 and output.shape[1] > 1
    )
