"""Networks as ONNX graphs with their weights: exported from torch, and computed on the CPU."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from .onnx_session import OnnxSession

OUTPUT = "vectors"
# Of int8: values in a row that have one scale, and the name of the type in ONNX Runtime.
BLOCK, INT8 = 128, 4


class OnnxGraph(nn.Module):
    """Computes the output of a graph that `export_graph` wrote.

    Its content is the buffer `graph`, uint8 [graph_bytes], which is saved, copied and pickled with
    the network.
    """

    graph: Tensor

    def __init__(self, graph_bytes: int) -> None:
        super().__init__()
        self.register_buffer("graph", torch.zeros(graph_bytes, dtype=torch.uint8))
        self._session = OnnxSession(self._read)

    def _read(self) -> bytes:
        return self.graph.cpu().numpy().tobytes()

    def forward(self, **inputs: Tensor) -> Tensor:
        arrays = {name: tensor.cpu().numpy() for name, tensor in inputs.items()}
        [output] = self._session([OUTPUT], arrays)
        return torch.from_numpy(output).to(self.graph.device)


def export_graph(
    network: nn.Module,
    inputs: dict[str, Tensor],
    name: str,
    *,
    axes: Sequence[str] = (),
    quantize: bool = False,
) -> Tensor:
    """Return a network as the content of an .onnx file: uint8 [graph_bytes].

    network: on the CPU and in eval mode; takes the inputs by position, in this order, and returns
        one tensor.
    name: of the encoder, for messages.
    axes: names of the leading axes of all inputs whose size varies.
    quantize: products with weights in int8: weights and activations have one scale for `BLOCK`
        values of a row; else all in float32.

    Raises UsageError if a package is missing, or if the network cannot be exported.
    """
    check_export_packages()
    dimensions = {i: torch.export.Dim(name) for i, name in enumerate(axes)}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        path = Path(folder) / "network.onnx"
        try:
            program: Any = torch.onnx.export(
                network,
                tuple(inputs.values()),
                dynamo=True,
                dynamic_shapes=((dimensions,) * len(inputs),) if axes else None,
                input_names=list(inputs),
                output_names=[OUTPUT],
                verbose=False,
            )
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise UsageError(
                f"torch.onnx cannot export the encoder {name} ({reason}). Use the pipeline as it "
                "is, or train it with another encoder."
            ) from error
        program.save(str(path))
        content = _quantized(path) if quantize else path.read_bytes()
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def check_export_packages() -> None:
    """Raise UsageError if a package of the extra `onnx` is missing."""
    for package in ("onnxruntime", "onnx", "onnxscript"):
        try:
            import_module(package)
        except ImportError as error:
            raise UsageError(
                f"Writing ONNX needs the package {package}: pip install 'spacy-mner[onnx]'"
            ) from error


def training_error() -> UsageError:
    """Return the error for training a pipeline that was optimized."""
    return UsageError(
        "This pipeline was written by `spacy-mner optimize`, for prediction alone. Train the "
        "pipeline that it was made from, then optimize again."
    )


def _quantized(path: Path) -> bytes:
    import onnx

    quantization = _import_quantization()
    # Not the embeddings: they cost little time, and quantized they cost accuracy. Not one scale for
    # all activations of a batch either (`quantize_dynamic`): it costs accuracy, and entities would
    # depend on the other posts of the batch.
    config = quantization.DefaultWeightOnlyQuantConfig(
        bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=INT8
    )
    quantizer = quantization.MatMulNBitsQuantizer(onnx.load(path), algo_config=config)
    quantizer.process()
    content: bytes = quantizer.model.model.SerializeToString()
    return content


def _import_quantization() -> Any:
    """Import a module that would configure the logging of the whole process."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # where there is a handler, basicConfig does nothing
    try:
        return import_module("onnxruntime.quantization.matmul_nbits_quantizer")
    finally:
        root.removeHandler(handler)
