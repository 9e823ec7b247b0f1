"""Text encoders that ONNX Runtime computes: `spacy-mner optimize` converts trained ones to them."""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..features import TransformerFeaturizer
from ..layers.embed import TransformerEmbedding
from ..utils.onnx_session import OnnxSession, check_onnx_runtime
from .tagger import Modality

OUTPUT = "vectors"
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

    def finalize(self) -> None:
        raise _training_error()


def build_onnx_embedding(
    *, config: dict[str, Any], width: int | None, graph_bytes: int | None = None
) -> TransformerEmbedding:
    """Build the embedder for a graph of this size, which is loaded next.

    config: the encoder's config.json.
    """
    if graph_bytes is None:  # a new network, whose encoder has no graph
        raise _training_error()
    check_onnx_runtime()
    return TransformerEmbedding(
        encoder=OnnxTextEncoder(graph_bytes),
        dim=config["hidden_size"],
        width=width,
        dropout=0.0,
        freeze=False,
    )


class OnnxTextEncoder(nn.Module):
    """Calls a graph as a text encoder of Hugging Face is called.

    The content of its .onnx file is the buffer `graph`, uint8 [graph_bytes], which is saved,
    copied and pickled with the network. Raises UsageError in training.
    """

    graph: Tensor

    def __init__(self, graph_bytes: int) -> None:
        super().__init__()
        self.register_buffer("graph", torch.zeros(graph_bytes, dtype=torch.uint8))
        self._session = OnnxSession(self._read)

    def _read(self) -> bytes:
        return self.graph.cpu().numpy().tobytes()

    def forward(self, **inputs: Tensor) -> Any:
        if self.training:
            raise _training_error()
        arrays = {name: tensor.cpu().numpy() for name, tensor in inputs.items()}
        [vectors] = self._session([OUTPUT], arrays)
        return SimpleNamespace(last_hidden_state=torch.from_numpy(vectors).to(self.graph.device))


def _training_error() -> UsageError:
    return UsageError(
        "This pipeline was written by `spacy-mner optimize`: its text encoder is for prediction "
        "alone. Train the pipeline that it was made from, and optimize the result."
    )


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


def export_text_encoder(encoder: nn.Module, *, with_types: bool, quantize: bool) -> bytes:
    """Return a text encoder as the content of an .onnx file with its weights.

    with_types: whether it takes `token_type_ids`.
    quantize: weights in int8, per channel, and activations in int8 as they come; else float32.

    Raises UsageError if a package is missing, or if the encoder cannot be exported.
    """
    check_export_packages()
    names = ["input_ids", "attention_mask", *["token_type_ids"] * with_types]
    # Two segments of different lengths, so that no size is taken for a constant.
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    # Separate tensors: the exporter takes one tensor for one input.
    inputs = (torch.ones_like(mask), mask, torch.zeros_like(mask))[: len(names)]
    axes = {0: torch.export.Dim("segments"), 1: torch.export.Dim("pieces")}
    module = _Vectors(copy.deepcopy(encoder).cpu().eval(), names)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        path = Path(folder) / "encoder.onnx"
        try:
            program = torch.onnx.export(
                module,
                inputs,
                dynamo=True,
                dynamic_shapes=((axes,) * len(names),),
                input_names=names,
                output_names=[OUTPUT],
                verbose=False,
            )
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise UsageError(
                f"torch.onnx cannot export the text encoder {type(encoder).__name__} ({reason}). "
                "Use the pipeline as it is, or train it with an encoder such as BERT."
            ) from error
        assert program is not None
        program.save(str(path))
        return _quantized(path) if quantize else path.read_bytes()


def check_export_packages() -> None:
    """Raise UsageError if a package of the extra `onnx` is missing."""
    for package in ("onnxruntime", "onnx", "onnxscript"):
        try:
            import_module(package)
        except ImportError as error:
            raise UsageError(
                f"Writing ONNX needs the package {package}: pip install 'spacy-mner[onnx]'"
            ) from error


def _quantized(path: Path) -> bytes:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It advises preprocessing, which the exporter has done.
    logging.getLogger().addFilter(_no_advice)
    target = path.with_name("quantized.onnx")
    try:
        # On CPUs without VNNI, products of 8 bits would overflow: 7 are exact everywhere.
        quantize_dynamic(
            path, target, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )
    finally:
        logging.getLogger().removeFilter(_no_advice)
    return target.read_bytes()


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
