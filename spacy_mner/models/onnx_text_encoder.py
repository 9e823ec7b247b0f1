"""Text encoders that ONNX Runtime computes: `spacy-mner optimize` converts trained ones to them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..features import TransformerFeaturizer
from ..layers.embed import TransformerEmbedding
from ..utils.onnx_graph import OnnxGraph, export_graph, training_error
from ..utils.onnx_session import check_onnx_runtime
from ..utils.tensor_bytes import read_tensors, write_tensors
from .shim import METADATA_KEY
from .tagger import Modality, TaggerModel, shim_of

ONNX_TRANSFORMER = "spacy_mner.OnnxTransformer.v1"


def build_onnx_transformer(
    width: int | None = None, context: bool = False, max_length: int = 256
) -> Modality:
    """A trained text encoder on ONNX Runtime, which `spacy-mner optimize` writes; prediction alone.

    The pipeline holds the graph with its weights, in float32 or int8. It is computed on the CPU.

    width, context, max_length: as in spacy_mner.Transformer.v1.
    """
    featurizer = OnnxTransformerFeaturizer("", context=context, max_length=max_length)
    return Modality(ONNX_TRANSFORMER, featurizer, partial(build_onnx_embedding, width=width))


class OnnxTransformerFeaturizer(TransformerFeaturizer):
    """The featurizer of a trained encoder, which is loaded and never initialized."""

    def check_trainable(self, *, is_trained: bool) -> None:
        raise training_error()


def build_onnx_embedding(
    *, config: dict[str, Any], width: int | None, graph_bytes: int
) -> TransformerEmbedding:
    """Build the embedder for a graph of this size, which is loaded next.

    config: the encoder's config.json.
    """
    check_onnx_runtime()
    return TransformerEmbedding(
        encoder=OnnxTextEncoder(graph_bytes),
        dim=config["hidden_size"],
        width=width,
        dropout=0.0,
        freeze=False,
    )


class OnnxTextEncoder(OnnxGraph):
    """Is called as a text encoder of Hugging Face is."""

    def forward(self, **inputs: Tensor) -> Any:
        return SimpleNamespace(last_hidden_state=super().forward(**inputs))


def convert_text_encoders(
    model: TaggerModel, modalities: Iterable[str], *, quantize: bool
) -> bytes:
    """Return the network of a tagger as its shim saves it, with text encoders as graphs.

    modalities: those whose text encoders become graphs.
    quantize: as in `export_graph`.

    Raises UsageError if a package is missing, or if an encoder cannot be exported.
    """
    shim = shim_of(model)
    weights, cfg = read_tensors(shim.to_bytes(), METADATA_KEY)
    embedders: Any = shim.network.embed
    for name in modalities:
        dims = cfg["dims"][name]  # the arguments of build_onnx_embedding
        with_types = dims["config"].get("type_vocab_size", 0) > 1
        graph = export_text_encoder(
            embedders[name].encoder, with_types=with_types, quantize=quantize
        )
        prefix = f"embed.{name}.encoder."
        weights = {key: value for key, value in weights.items() if not key.startswith(prefix)}
        weights[f"{prefix}graph"] = graph
        dims["graph_bytes"] = len(graph)
    return write_tensors(weights, METADATA_KEY, cfg)


class _Vectors(nn.Module):
    """The vectors of a text encoder, as a function of its inputs in the order of their names."""

    def __init__(self, encoder: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor:
        output: Tensor = self.encoder(
            **dict(zip(self.names, inputs, strict=True))
        ).last_hidden_state
        return output


def export_text_encoder(encoder: nn.Module, *, with_types: bool, quantize: bool) -> Tensor:
    """Return a text encoder as the content of an .onnx file: uint8 [graph_bytes].

    with_types: whether it takes `token_type_ids`.
    quantize: as in `export_graph`.

    Raises UsageError if a package is missing, or if the encoder cannot be exported.
    """
    names = ["input_ids", "attention_mask", *["token_type_ids"] * with_types]
    # Two segments of different lengths, so that no size is taken for a constant.
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    # Separate tensors: the exporter takes one tensor for one input.
    inputs = dict(zip(names, (torch.ones_like(mask), mask, torch.zeros_like(mask)), strict=False))
    return export_graph(
        _Vectors(copy.deepcopy(encoder).cpu().eval(), names),
        inputs,
        type(encoder).__name__,
        axes=("segments", "pieces"),
        quantize=quantize,
    )
