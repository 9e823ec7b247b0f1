"""Adagrad, which Thinc does not have."""

from __future__ import annotations

from spacy.util import registry
from thinc.api import Optimizer
from thinc.backends import get_array_ops
from thinc.optimizers import FloatOrSeq, KeyT
from thinc.types import FloatsXd


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


@registry.optimizers("spacy_mner.Adagrad.v1")
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
