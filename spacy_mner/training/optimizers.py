"""Optimizers that Thinc does not have: Adagrad, and AdamW over a whole torch network."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from thinc.api import Optimizer
from thinc.backends import get_array_ops
from thinc.optimizers import FloatOrSeq, KeyT
from thinc.types import FloatsXd
from torch import nn

from ..layers.embed import TransformerEmbedding


class Adagrad(Optimizer):
    """Steps that shrink with all the gradients that a weight has seen.

        s = s + g * g    w = w - learn_rate * g / (sqrt(s) + eps)

    (Duchi et al. 2011.) The sums s lie in `mom2`, under the keys of Thinc's parameters. Weights
    and sums of NumPy or CuPy change in place; the gradient is zeroed.
    """

    __slots__ = ()

    def __init__(
        self,
        learn_rate: FloatOrSeq,
        *,
        eps: FloatOrSeq,
        L2: FloatOrSeq,
        grad_clip: FloatOrSeq,
        use_averages: bool,
    ) -> None:
        super().__init__(
            learn_rate,
            eps=eps,
            L2=L2,
            grad_clip=grad_clip,
            use_averages=use_averages,
            L2_is_weight_decay=False,
        )

    def __call__(
        self, key: KeyT, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update the weights named by `key`: (weights, zeroed gradient)."""
        if len(gradient) < 1:
            return weights, gradient
        ops = get_array_ops(weights)
        self.nr_update[key] += 1
        if self.L2:
            gradient += self.L2 * weights
        if self.grad_clip:
            gradient = ops.clip_gradient(gradient, self.grad_clip)
        if key not in self.mom2:
            self.mom2[key] = ops.xp.zeros_like(weights)
        self.mom2[key] += gradient * gradient
        weights -= lr_scale * self.learn_rate * gradient / (ops.xp.sqrt(self.mom2[key]) + self.eps)
        gradient.fill(0)
        if self.averages is not None:
            if key not in self.averages:
                self.averages[key] = ops.xp.zeros_like(weights)
            ops.update_averages(self.averages[key], weights, self.nr_update[key])
        return weights, gradient


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), made for fine-tuning.

    A torch network of ours is updated as a whole by `torch.optim.AdamW`: with a learning rate of
    its own for pretrained encoders, without weight decay for biases, normalizations and other
    vectors, and with the norm of all gradients together cut to `grad_clip`. For the parameters of
    other components it is Thinc's Adam, with the same numbers; those of a torch network, such as a
    shared `transformer` of spacy-transformers, have the learning rate of encoders.
    """

    __slots__ = ("_of_networks", "encoder_learn_rate")

    encoder_learn_rate: float

    def __init__(
        self,
        learn_rate: FloatOrSeq,
        *,
        encoder_learn_rate: FloatOrSeq,
        weight_decay: float,
        grad_clip: float,
        beta1: float,
        beta2: float,
        eps: float,
    ) -> None:
        super().__init__(
            learn_rate,
            L2=weight_decay,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            grad_clip=grad_clip,
            use_averages=False,
        )
        self._set_attr_or_schedule("encoder_learn_rate", encoder_learn_rate)
        self._of_networks: WeakKeyDictionary[nn.Module, torch.optim.AdamW] = WeakKeyDictionary()

    def __call__(
        self, key: KeyT, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Update the weights named by `key`, as Thinc's Adam does: (weights, zeroed gradient)."""
        rate = self.learn_rate
        try:
            if _is_of_torch(key):
                self.learn_rate = self.encoder_learn_rate
            return super().__call__(key, weights, gradient, lr_scale=lr_scale)
        finally:
            self.learn_rate = rate

    def update_network(self, network: nn.Module) -> None:
        """Update the parameters of a network that have a gradient, in place, and drop those."""
        if network not in self._of_networks:
            self._of_networks[network] = self._for_network(network)
        optimizer = self._of_networks[network]
        for group in optimizer.param_groups:
            group["lr"] = self.encoder_learn_rate if group["pretrained"] else self.learn_rate
        if self.grad_clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.grad_clip)
        optimizer.step()
        optimizer.zero_grad()

    def _for_network(self, network: nn.Module) -> torch.optim.AdamW:
        encoders = [m.encoder for m in network.modules() if isinstance(m, TransformerEmbedding)]
        pretrained = {parameter for encoder in encoders for parameter in encoder.parameters()}
        groups: dict[tuple[bool, float], dict[str, Any]] = {}
        for parameter in network.parameters():
            if parameter.requires_grad:
                is_pretrained, decay = parameter in pretrained, self.L2 * (parameter.ndim > 1)
                group = {"params": [], "pretrained": is_pretrained, "weight_decay": decay}
                groups.setdefault((is_pretrained, decay), group)["params"].append(parameter)
        betas = (self.b1, self.b2)
        return torch.optim.AdamW(list(groups.values()), betas=betas, eps=self.eps, fused=True)


def _is_of_torch(key: KeyT) -> bool:
    """Whether a parameter is one of a torch network, which alone have dots in their names."""
    _, name = key
    return "." in name


def build_adagrad(
    learn_rate: FloatOrSeq = 0.02,
    *,
    eps: FloatOrSeq = 1e-8,
    L2: FloatOrSeq = 0.0,
    grad_clip: FloatOrSeq = 0.0,
    use_averages: bool = False,
) -> Adagrad:
    """Adagrad with the settings of Moon et al. 2018; any number may be a schedule.

    L2: added to the gradient, times the weights.
    grad_clip: the largest norm of the gradient of one parameter; 0 for any.
    use_averages: evaluate and save a moving average of the weights.
    """
    return Adagrad(learn_rate, eps=eps, L2=L2, grad_clip=grad_clip, use_averages=use_averages)


def build_adamw(
    learn_rate: FloatOrSeq = 0.001,
    *,
    encoder_learn_rate: FloatOrSeq = 5e-5,
    weight_decay: float = 0.01,
    grad_clip: float = 1.0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> AdamW:
    """AdamW for a tagger with a text encoder in it (`spacy_mner.Transformer.v1`).

    learn_rate: of all that is new; a number or a schedule, such as Thinc's `warmup_linear.v1`.
    encoder_learn_rate: of pretrained encoders, shared ones among them; a number or a schedule.
    grad_clip: the largest norm of the gradient of a network; 0 for any.
    """
    return AdamW(
        learn_rate,
        encoder_learn_rate=encoder_learn_rate,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
    )
