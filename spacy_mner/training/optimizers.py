"""Adagrad and AdamW of torch as optimizers of Thinc."""

from __future__ import annotations

from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from thinc.api import Optimizer, torch2xp
from thinc.backends import get_array_ops
from thinc.optimizers import FloatOrSeq, KeyT
from thinc.types import FloatsXd
from torch import Tensor, nn


class TorchOptimizer(Optimizer):
    """An optimizer of torch with the interface, schedules and averages of Thinc's.

    A network of this package is updated as a whole by `update_network`, in the parameter groups
    that it returns. Parameters of other components are updated one at a time by `__call__`.
    """

    __slots__ = ("_by_key", "_by_network")

    def __init__(self, learn_rate: FloatOrSeq, **settings: Any) -> None:
        super().__init__(learn_rate, **settings)
        self._by_key: dict[KeyT, torch.optim.Optimizer] = {}
        self._by_network: WeakKeyDictionary[nn.Module, torch.optim.Optimizer] = WeakKeyDictionary()

    def __call__(
        self, key: KeyT, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update the weights named by `key` in place: (weights, zeroed gradient)."""
        if len(gradient) < 1:
            return weights, gradient
        shared = torch.from_dlpack(weights)
        if key not in self._by_key:
            # Torch names the parameters of submodules by a path with dots; Thinc has no such names.
            # In spaCy, torch networks with submodules are the encoders of shared transformers.
            group = {"is_pretrained": "." in key[1], "has_weight_decay": True}
            self._by_key[key] = self._create([{"params": [nn.Parameter(shared)], **group}])
        optimizer = self._by_key[key]
        [parameter] = _parameters(optimizer)
        # Thinc may have put another array in the place of the last one.
        parameter.data, parameter.grad = shared, torch.from_dlpack(gradient)
        self._step(optimizer, lr_scale)
        gradient.fill(0)
        self._update_average(key, weights)
        return weights, gradient

    def update_network(self, network_id: int, network: Any) -> None:
        """Update the parameters that have a gradient, in place, and remove the gradients.

        network_id: first part of the keys of its parameters in `averages`.
        network: a module with `parameter_groups()`, as `TaggerNetwork`.
        """
        optimizer = self._by_network.get(network)
        trainable = {p for p in network.parameters() if p.requires_grad}
        if optimizer is None or set(_parameters(optimizer)) != trainable:
            optimizer = self._by_network[network] = self._create(network.parameter_groups())
        updated = [(name, p) for name, p in network.named_parameters() if p.grad is not None]
        self._step(optimizer)
        for name, parameter in updated if self.averages is not None else ():
            self._update_average((network_id, name), cast(FloatsXd, torch2xp(parameter.data)))

    def _step(self, optimizer: torch.optim.Optimizer, lr_scale: float = 1.0) -> None:
        for group in optimizer.param_groups:
            group["lr"] = lr_scale * self._learn_rate(group)
            group["eps"] = self.eps
        self._prepare_gradients([p for p in _parameters(optimizer) if p.grad is not None])
        optimizer.step()
        optimizer.zero_grad()

    def _update_average(self, key: KeyT, weights: FloatsXd) -> None:
        self.nr_update[key] += 1
        if self.averages is not None:
            ops = get_array_ops(weights)
            if key not in self.averages:
                self.averages[key] = ops.xp.zeros_like(weights)
            ops.update_averages(self.averages[key], weights, self.nr_update[key])

    def _create(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        raise NotImplementedError

    def _learn_rate(self, group: dict[str, Any]) -> float:
        return self.learn_rate

    def _prepare_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Clip and regularize, in place."""
        raise NotImplementedError


class Adagrad(TorchOptimizer):
    """Adagrad (Duchi et al. 2011) with L2 regularization and clipping per parameter.

        s = s + g * g    w = w - learn_rate * g / (sqrt(s) + eps)

    The defaults are the settings of Moon et al. 2018. Each number may be a schedule.

    L2: added to the gradient, times the weights.
    grad_clip: highest norm of the gradient of one parameter; 0 for no clipping.
    use_averages: evaluate and save a moving average of the weights.
    """

    __slots__ = ()

    def __init__(
        self,
        learn_rate: FloatOrSeq = 0.02,
        *,
        eps: FloatOrSeq = 1e-8,
        L2: FloatOrSeq = 0.0,
        grad_clip: FloatOrSeq = 0.0,
        use_averages: bool = False,
    ) -> None:
        super().__init__(learn_rate, eps=eps, L2=L2, grad_clip=grad_clip, use_averages=use_averages)

    def _create(self, groups: list[dict[str, Any]]) -> torch.optim.Adagrad:
        is_cpu = groups[0]["params"][0].device.type == "cpu"
        return torch.optim.Adagrad(groups, fused=is_cpu or None)

    def _prepare_gradients(self, parameters: list[nn.Parameter]) -> None:
        for parameter in parameters:
            if self.L2:
                cast(Tensor, parameter.grad).add_(parameter.data, alpha=self.L2)
            if self.grad_clip:
                nn.utils.clip_grad_norm_(parameter, self.grad_clip)


class AdamW(TorchOptimizer):
    """AdamW (Loshchilov & Hutter 2019) with a separate learning rate for pretrained encoders.

    In networks of this package, biases, normalizations and other vectors get no weight decay.

    learn_rate: of new parameters; a number or a schedule, such as Thinc's `warmup_linear.v1`.
    encoder_learn_rate: of pretrained encoders, shared ones included; a number or a schedule.
    grad_clip: highest norm of the gradient of a network; 0 for no clipping.
    """

    __slots__ = ("encoder_learn_rate",)

    encoder_learn_rate: float

    def __init__(
        self,
        learn_rate: FloatOrSeq = 0.001,
        *,
        encoder_learn_rate: FloatOrSeq = 5e-5,
        weight_decay: float = 0.01,
        grad_clip: float = 1.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            learn_rate,
            L2=weight_decay,
            grad_clip=grad_clip,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            use_averages=False,
        )
        self._set_attr_or_schedule("encoder_learn_rate", encoder_learn_rate)

    def _create(self, groups: list[dict[str, Any]]) -> torch.optim.AdamW:
        groups = [{**g, "weight_decay": self.L2 * g["has_weight_decay"]} for g in groups]
        return torch.optim.AdamW(groups, betas=(self.b1, self.b2), fused=True)

    def _learn_rate(self, group: dict[str, Any]) -> float:
        return self.encoder_learn_rate if group["is_pretrained"] else self.learn_rate

    def _prepare_gradients(self, parameters: list[nn.Parameter]) -> None:
        if self.grad_clip:
            nn.utils.clip_grad_norm_(parameters, self.grad_clip)


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
