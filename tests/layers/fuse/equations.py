"""The equations of cross-modal attention in NumPy, for one post and one head at a time.

There is no padding and no mask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from torch import nn

Array = np.ndarray
Weights = Mapping[str, Array]

_erf = np.vectorize(math.erf)


def weights_of(network: nn.Module) -> dict[str, Array]:
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def below(weights: Weights, name: str) -> dict[str, Array]:
    """The weights of a submodule."""
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def linear(weights: Weights, name: str, x: Array) -> Array:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def normalize(weights: Weights, name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attend(weights: Weights, heads: int, q: Array, k: Array) -> tuple[Array, Array]:
    """Attention of queries [n, width] to keys [m, width], and its weights [n, m]."""
    width = q.shape[1]
    matrices = weights["attention.in_proj_weight"].reshape(3, heads, width // heads, width)
    biases = weights["attention.in_proj_bias"].reshape(3, heads, width // heads)
    outputs, maps = [], []
    for head in range(heads):
        query, key, value = (
            x @ matrices[i, head].T + biases[i, head] for i, x in enumerate((q, k, k))
        )
        scores = query @ key.T / math.sqrt(width // heads)
        maps.append(np.stack([softmax(row) for row in scores]))
        outputs.append(maps[-1] @ value)
    return linear(weights, "attention.out_proj", np.concatenate(outputs, 1)), np.mean(maps, 0)


def cross(weights: Weights, heads: int, q: Array, k: Array) -> tuple[Array, Array]:
    """A transformer layer, and its attention weights."""
    output, attention = attend(weights, heads, q, k)
    attended = normalize(weights, "attention_norm", q + output)
    hidden = linear(weights, "feedforward.0", attended)
    hidden = hidden * 0.5 * (1 + _erf(hidden / math.sqrt(2)))
    hidden = linear(weights, "feedforward.2", hidden)
    return normalize(weights, "output_norm", attended + hidden), attention


def gate(weights: Weights, first: Array, second: Array) -> Array:
    w_first, w_second = np.split(weights["linear.weight"], 2, axis=1)
    g = sigmoid(first @ w_first.T + second @ w_second.T + weights["linear.bias"])
    return g * first + (1 - g) * second


def objects_gate(weights: Weights, h3: Array, h4: Array) -> Array:
    """As published, where g2 is the weight of H4; the network's g is 1 - g2."""
    w_h3, w_h4 = np.split(weights["linear.weight"], 2, axis=1)
    g2 = sigmoid(-(h4 @ w_h4.T) - h3 @ w_h3.T - weights["linear.bias"])
    return g2 * h4 + (1 - g2) * h3


GATES = {"grid": gate, "objects": objects_gate}


def cross_attention(
    role: str, weights: Weights, heads: int, text: Array, regions: Array
) -> tuple[Array, Array]:
    """F1 or F2 of one post, and the attention weights of H1 or H3."""
    if not len(regions):
        return np.zeros_like(text), np.zeros((len(text), 0))

    def layer(name: str, q: Array, k: Array) -> Array:
        return cross(below(weights, name), heads, q, k)[0]

    def project(name: str) -> Array:
        return linear(weights, name, regions) if f"{name}.weight" in weights else regions

    v = project("region_projection")
    keys = layer("region_self_attention", v, v)
    first, attention = cross(below(weights, "text_to_region"), heads, text, keys)
    if not below(weights, "text_to_region_2"):
        return first, attention
    v = project("region_projection_2")
    keys = layer("region_to_text", layer("region_self_attention_2", v, v), text)
    second = layer("text_to_region_2", text, keys)
    if not below(weights, "gate"):
        return (first + second) / 2, attention
    return GATES[role](below(weights, "gate"), first, second), attention


def text_sum(weights: Weights, word: Array, near: Array, has_near: Array, *, gated: bool) -> Array:
    """S of one post: the sum of word and augmentation vectors, or their gated sum.

    word: [n_tokens, width]. near: [n_tokens, any width]. has_near: bool [n_tokens].
    """
    a = linear(weights, "projections.1", near)
    both = gate(below(weights, "gate"), word, a) if gated else word + a
    return np.stack([both[i] if has_near[i] else word[i] for i in range(len(word))])


def cross_modal(
    weights: Weights, heads: int, text: Array, regions: Mapping[str, Array]
) -> tuple[Array, Array | None, dict[str, Array]]:
    """Z, T_aux (None without such a layer) and the attention weights of one post.

    text: S, [n_tokens, width]. regions: of "grid" and "objects", as far as the network has them,
    [n_regions, their width].
    """
    tokens = cross(below(weights, "text_self_attention"), heads, text, text)[0]
    own = below(weights, "auxiliary_self_attention")
    auxiliary = cross(own, heads, text, text)[0] if own else None
    parts, maps = [], {}
    for role, values in regions.items():
        own = below(weights, f"cross_attention.{role}")
        part, maps[role] = cross_attention(role, own, heads, tokens, values)
        parts.append(part)
    if parts:
        image = np.maximum(linear(weights, "image_projection", np.concatenate(parts, 1)), 0)
        tokens = np.concatenate([tokens, image], 1)
    return linear(weights, "output_projection", tokens), auxiliary, maps
