"""OnnxEncoder: an image encoder that ONNX Runtime computes, converted by `spacy-mner optimize`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...utils.onnx_graph import OnnxGraph, export_graph, training_error
from ...utils.onnx_session import check_onnx_runtime
from ...utils.tensor_bytes import write_tensors
from ..image_model import make_fingerprint
from .image_encoder import Outputs
from .saved_encoder import METADATA_KEY, Description, SavedEncoder, Weights

ONNX_ENCODER = "spacy_mner.OnnxEncoder.v1"
INPUT = "pixels"


class OnnxEncoder(SavedEncoder):
    """A graph of another image encoder, in float32, for prediction alone, on the CPU.

    The pipeline holds the graph with its weights.

    regions: as in the encoder that it was converted from.
    """

    device_batch = 1  # that of the graph

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"onnx-{self.regions}",
            weights=self.description.weights,
            preprocessing=self.preprocessing,
        )

    def check_installed(self) -> None:
        check_onnx_runtime()

    def check_trainable(self, *, is_trained: bool) -> None:
        raise training_error()

    def describe(self) -> Description:
        raise training_error()  # a new one, which has no graph

    def load_source(self) -> nn.Module:
        raise training_error()

    def build(self, weights: Weights) -> nn.Module:
        graph = OnnxGraph(len(weights["graph"]))
        graph.load_state_dict(weights)
        return graph

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        return Outputs(network(**{INPUT: inputs}))


class _Features(nn.Module):
    """The features of an encoder's network, as a function of pixels."""

    def __init__(self, network: nn.Module, run: Callable[[Any, Tensor], Outputs]) -> None:
        super().__init__()
        self.network = network
        self.run = run

    def forward(self, pixels: Tensor) -> Tensor:
        return self.run(self.network, pixels).features


def export_image_encoder(encoder: SavedEncoder) -> bytes:
    """Return what an OnnxEncoder restores to compute the features of an encoder.

    Raises UsageError if a package is missing, or if the encoder cannot be exported.
    """
    network = copy.deepcopy(encoder.network_on(None)[0]).cpu()
    size = encoder.preprocessing.size
    # One image, which is what an encoder computes at a time on the CPU.
    inputs = {INPUT: torch.zeros(1, 3, size, size)}
    graph = export_graph(_Features(network, encoder.run), inputs, type(encoder).__name__)
    description = replace(encoder.description, architecture={}, weights=encoder.fingerprint)
    return write_tensors({"graph": graph}, METADATA_KEY, asdict(description))
