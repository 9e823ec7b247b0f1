"""EfficientNet-Lite0 as an ONNX graph, written without an export and without further packages.

The file format is Protocol Buffers, and the numbers of fields are those of ONNX's onnx.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

INPUT = "pixels"
# The last feature map, its mean, and the logits.
OUTPUTS = ("map", "pooled", "logits")
AXES = {
    INPUT: ("n", "channels", "height", "width"),
    "map": ("n", "dim", "rows", "columns"),
    "pooled": ("n", "dim"),
    "logits": ("n", "classes"),
}

IR_VERSION, OPSET = 8, 17
FLOAT, INT, INTS = 1, 2, 7  # TensorProto.DataType, and AttributeProto.AttributeType


def efficientnet_to_onnx(network: Any) -> bytes:
    """Return the content of an .onnx file for a network in eval mode, batch norm folded.

    network: of efficientnet_lite_pytorch, of the kinds "lite": relu6, no squeeze and excitation.
    """
    graph = _GraphWriter()
    graph.tensor("zero", np.array(0, np.float32))
    graph.tensor("six", np.array(6, np.float32))
    last = graph.conv(network._conv_stem, network._bn0, INPUT, relu6=True)
    for block in network._blocks:
        first = last
        if hasattr(block, "_expand_conv"):
            last = graph.conv(block._expand_conv, block._bn0, last, relu6=True)
        last = graph.conv(block._depthwise_conv, block._bn1, last, relu6=True)
        last = graph.conv(block._project_conv, block._bn2, last)
        args = block._block_args
        if block.id_skip and args.stride == 1 and args.input_filters == args.output_filters:
            last = graph.node("Add", [last, first])
    last = graph.conv(network._conv_head, network._bn1, last, relu6=True, output=OUTPUTS[0])
    last = graph.node("Flatten", [graph.node("GlobalAveragePool", [last])], OUTPUTS[1], axis=1)
    graph.tensor("fc.weight", network._fc.weight)
    graph.tensor("fc.bias", network._fc.bias)
    graph.node("Gemm", [last, "fc.weight", "fc.bias"], OUTPUTS[2], transB=1)
    return graph.model()


class _GraphWriter:
    """Collects the parts of a graph; names of intermediate results are numbers."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []

    def conv(
        self, conv: Any, norm: nn.BatchNorm2d, source: str, *, relu6: bool = False, output: str = ""
    ) -> str:
        """Add a convolution with its batch norm, and ReLU6 if that follows."""
        fused = fuse_conv_bn_eval(conv, norm)
        name = f"conv{len(self._nodes)}"
        self.tensor(f"{name}.weight", fused.weight)
        self.tensor(f"{name}.bias", fused.bias)
        left, right, top, bottom = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        pads = [top, left, bottom, right]
        result = self.node("Conv", inputs, group=conv.groups, strides=conv.stride, pads=pads)
        return self.node("Clip", [result, "zero", "six"], output) if relu6 else result

    def node(
        self, op: str, inputs: list[str], output: str = "", **attributes: int | Sequence[int]
    ) -> str:
        output = output or str(len(self._nodes))
        parts = [_field(1, name) for name in inputs] + [_field(2, output), _field(4, op)]
        parts += [_field(5, _attribute(*item)) for item in attributes.items()]
        self._nodes.append(b"".join(parts))
        return output

    def tensor(self, name: str, value: Tensor | np.ndarray) -> None:
        array = np.ascontiguousarray(value if isinstance(value, np.ndarray) else value.detach())
        dims = b"".join(_field(1, size) for size in value.shape)
        self._tensors.append(
            dims + _field(2, FLOAT) + _field(8, name) + _field(9, array.astype("<f4").tobytes())
        )

    def model(self) -> bytes:
        parts = [_field(1, node) for node in self._nodes] + [_field(2, "efficientnet")]
        parts += [_field(5, tensor) for tensor in self._tensors]
        parts += [_field(11, _value_info(INPUT))]
        parts += [_field(12, _value_info(name)) for name in OUTPUTS]
        opset = _field(8, _field(2, OPSET))
        return _field(1, IR_VERSION) + _field(7, b"".join(parts)) + opset


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, INT)
    return _field(1, name) + b"".join(_field(8, one) for one in value) + _field(20, INTS)


def _value_info(name: str) -> bytes:
    shape = b"".join(_field(1, _field(2, axis)) for axis in AXES[name])
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, shape)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message: a number, or a length and bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
