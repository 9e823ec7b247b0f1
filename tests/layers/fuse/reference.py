"""The equations of cross-modal attention in NumPy: one post, one head, one gate at a time.

Nothing is padded or masked here: a post has the tokens and the regions that it has.
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
    """The weights of a part of the network."""
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


def ask(weights: Weights, heads: int, q: Array, k: Array) -> tuple[Array, Array]:
    """Attention of queries [n, width] to keys [m, width], and its weights [n, m]."""
    width = q.shape[1]
    matrices = weights["attend.in_proj_weight"].reshape(3, heads, width // heads, width)
    biases = weights["attend.in_proj_bias"].reshape(3, heads, width // heads)
    said, maps = [], []
    for head in range(heads):
        query, key, value = (
            x @ matrices[i, head].T + biases[i, head] for i, x in enumerate((q, k, k))
        )
        scores = query @ key.T / math.sqrt(width // heads)
        maps.append(np.stack([softmax(row) for row in scores]))
        said.append(maps[-1] @ value)
    return linear(weights, "attend.out_proj", np.concatenate(said, 1)), np.mean(maps, 0)


def cross(weights: Weights, heads: int, q: Array, k: Array) -> tuple[Array, Array]:
    """One transformer layer, and the weights of its attention."""
    said, attention = ask(weights, heads, q, k)
    attended = normalize(weights, "normalize_attended", q + said)
    hidden = linear(weights, "think.0", attended)
    hidden = hidden * 0.5 * (1 + _erf(hidden / math.sqrt(2)))
    thought = linear(weights, "think.2", hidden)
    return normalize(weights, "normalize", attended + thought), attention


def gate(weights: Weights, first: Array, second: Array) -> Array:
    w_first, w_second = np.split(weights["weigh.weight"], 2, axis=1)
    g = sigmoid(first @ w_first.T + second @ w_second.T + weights["weigh.bias"])
    return g * first + (1 - g) * second


def objects_gate(weights: Weights, h3: Array, h4: Array) -> Array:
    """As printed, where g2 weighs H4: the network's g is 1 - g2."""
    w_h3, w_h4 = np.split(weights["weigh.weight"], 2, axis=1)
    g2 = sigmoid(-(h4 @ w_h4.T) - h3 @ w_h3.T - weights["weigh.bias"])
    return g2 * h4 + (1 - g2) * h3


GATES = {"grid": gate, "objects": objects_gate}


def granularity(
    part: str, weights: Weights, heads: int, text: Array, regions: Array
) -> tuple[Array, Array]:
    """F1 or F2 of one post, and the weights of H1 or H3."""
    if not len(regions):
        return np.zeros_like(text), np.zeros((len(text), 0))

    def layer(name: str, q: Array, k: Array) -> Array:
        return cross(below(weights, name), heads, q, k)[0]

    def project(name: str) -> Array:
        return linear(weights, name, regions) if f"{name}.weight" in weights else regions

    v = project("project")
    direct, attention = cross(below(weights, "ask"), heads, text, layer("read", v, v))
    if not below(weights, "ask_answered"):
        return direct, attention
    v = project("project_first")
    answered = layer("answer", layer("read_first", v, v), text)
    around = layer("ask_answered", text, answered)
    if not below(weights, "gate"):
        return (direct + around) / 2, attention
    return GATES[part](below(weights, "gate"), direct, around), attention


def text_sum(weights: Weights, word: Array, near: Array, has_near: Array, *, gated: bool) -> Array:
    """S of one post: the words, and what is near them added or gated where there is such.

    word, near: [n_tokens, their width]; the words have that of the result. has_near: [n_tokens].
    """
    a = linear(weights, "project.1", near)
    both = gate(below(weights, "gate"), word, a) if gated else word + a
    return np.stack([both[i] if has_near[i] else word[i] for i in range(len(word))])


def cross_modal(
    weights: Weights, heads: int, text: Array, memories: Mapping[str, Array]
) -> tuple[Array, Array | None, dict[str, Array]]:
    """Z, T_aux (None without such a layer) and the kept weights of one post.

    text: S, [n_tokens, width]; memories: "grid" and "objects", as far as the network has them,
    [n_regions, their width].
    """
    read = cross(below(weights, "read"), heads, text, text)[0]
    own = below(weights, "read_auxiliary")
    auxiliary = cross(own, heads, text, text)[0] if own else None
    parts, maps = [], {}
    for name, regions in memories.items():
        own = below(weights, f"look.{name}")
        seen, maps[name] = granularity(name, own, heads, read, regions)
        parts.append(seen)
    if parts:
        joined = np.maximum(linear(weights, "join", np.concatenate(parts, 1)), 0)
        return linear(weights, "finish", np.concatenate([read, joined], 1)), auxiliary, maps
    return linear(weights, "finish", read), auxiliary, maps
