"""The Thinc shim around the torch network of a component."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from thinc.api import Optimizer, torch2xp, xp2torch
from thinc.shims import Shim
from thinc.types import FloatsXd
from thinc.util import get_torch_default_device

from ..utils.tensor_bytes import read_tensors, to_precision, write_tensors

# The sizes and labels from which a network is built; only types that JSON has.
NetworkConfig = dict[str, Any]
# Of the network config in the header of a safetensors file; part of the saved format.
METADATA_KEY = "plan"


class TorchShim(Shim):
    """Holds a torch network that is built from `cfg`; Thinc trains, saves and moves it.

    Differences to PyTorchShim of Thinc: averaged weights are used by the network (`use_params`),
    weights are saved as safetensors together with `cfg`, parameters are updated in place (cuDNN
    keeps them contiguous), and inputs may be integers.

    build: returns the network of a `NetworkConfig`; picklable.
    saved_precision: name of the type in which floating-point weights are saved.
    """

    def __init__(
        self,
        build: Callable[[NetworkConfig], torch.nn.Module],
        *,
        mixed_precision: bool = False,
        saved_precision: str = "float32",
    ):
        super().__init__(None)
        self.build = build
        self.saved_dtype: torch.dtype = getattr(torch, saved_precision)
        self.mixed_precision = mixed_precision

    @property
    def is_built(self) -> bool:
        return self._model is not None

    @property
    def network(self) -> torch.nn.Module:
        if self._model is None:
            raise ValueError("The network is not initialized: call nlp.initialize() first.")
        return self._model

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def initialize(self, cfg: NetworkConfig) -> None:
        """Build a new network on the device that Thinc computes on."""
        self.cfg, self._model = cfg, self.build(cfg).eval().to(get_torch_default_device())

    def add_label(self, label: str) -> None:
        """Extend the network by one label, after the existing ones."""
        cast(Any, self.network).add_labels(1)
        self.cfg = {**self.cfg, "labels": [*self.cfg["labels"], label]}
        self._renew_id()

    def __call__(self, inputs: tuple[Any, ...], is_train: bool) -> tuple[Any, Callable]:
        """Run the network on its positional inputs.

        Returns its output and a callback that takes (tensors, gradients) and backpropagates.
        """
        network = self.network
        # For a small batch, the visit of all modules is a noticeable part of the time.
        if network.training != is_train:
            network.train(is_train)
        # bfloat16 has the range of float32, so that no gradient scaling is needed.
        precision = torch.autocast(
            self.device.type,
            torch.bfloat16,
            enabled=self.mixed_precision and computes_bfloat16(self.device),
        )
        with torch.set_grad_enabled(is_train), precision:
            output = network(*inputs)

        def backprop(tensors: list[torch.Tensor], gradients: list[torch.Tensor]) -> None:
            torch.autograd.backward(tensors, gradients)

        return output, backprop

    def nonfinite_gradients(self) -> list[str]:
        """Names of the parameters with a gradient that is not finite."""
        parameters = self.network.named_parameters()
        gradients = {name: p.grad for name, p in parameters if p.grad is not None}
        # All at once first, which takes one synchronization with a GPU.
        if torch.nn.utils.get_total_norm(list(gradients.values())).isfinite():
            return []
        return [name for name, gradient in gradients.items() if not gradient.isfinite().all()]

    def finish_update(self, optimizer: Optimizer) -> None:
        if hasattr(optimizer, "update_network"):
            optimizer.update_network(self.id, self.network)
            return
        for name, parameter in self.network.named_parameters():
            if parameter.grad is None:
                continue
            weights = cast(FloatsXd, torch2xp(parameter.data))
            gradient = cast(FloatsXd, torch2xp(parameter.grad))
            updated, _ = optimizer((self.id, name), weights, gradient)
            new = xp2torch(updated, device=parameter.device)
            if new.data_ptr() != parameter.data_ptr():  # an optimizer may work in place or not
                parameter.data.copy_(new)
            parameter.grad.zero_()

    @contextlib.contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Swap the given parameters in, under the keys of the optimizer, and out again."""
        swapped = {}
        if self._model is not None:
            for name, parameter in self._model.named_parameters():
                value = params.get((self.id, name))
                if value is not None:
                    swapped[parameter] = parameter.data.clone()
                    parameter.data.copy_(xp2torch(value, device=parameter.device))
        try:
            yield
        finally:
            for parameter, value in swapped.items():
                parameter.data.copy_(value)

    def copy(self) -> TorchShim:
        copied = copy.deepcopy(self)
        copied._renew_id()
        return copied

    def _renew_id(self) -> None:
        """Under a new id the parameters have no state in an optimizer, such as moments."""
        with Shim.global_id_lock:
            Shim.global_id += 1
            self.id = Shim.global_id

    def to_device(self, device_type: str, device_id: int) -> None:
        if self._model is not None:
            device = "cpu" if device_type == "cpu" else f"cuda:{device_id}"
            self._model.to(device)

    def to_bytes(self) -> bytes:
        if self._model is None:
            return b""
        weights = self._model.state_dict().items()
        saved = {name: to_precision(value, self.saved_dtype) for name, value in weights}
        return write_tensors(saved, METADATA_KEY, self.cfg)

    def from_bytes(self, data: bytes) -> TorchShim:
        if not data:
            self._model = None
            return self
        weights, cfg = read_tensors(data, METADATA_KEY)
        network = self.build(cfg)
        network.load_state_dict(weights)
        self.cfg, self._model = cfg, network.eval().to(get_torch_default_device())
        return self


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast on a device; on a CPU without AVX-512 BF16 it is far slower."""
    if device.type == "cuda":
        return True
    # torch has no public function for this; the private one may disappear.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and supported()
