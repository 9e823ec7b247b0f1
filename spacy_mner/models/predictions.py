"""What the component asks of the CRF: the loss of an annotation, the entities of a post."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from ..layers.decode import (
    Potentials,
    negative_log_likelihood,
    span_probabilities,
    viterbi,
)
from .annotation import Labeling, entities_of
from .tagger import TaggerOutput

# Of one post, by modality name.
Attention = dict[str, np.ndarray]


def loss_and_gradients(output: TaggerOutput, allowed: np.ndarray) -> tuple[float, Potentials]:
    """Mean loss of the posts, and its gradients by the potentials.

    It is the negative log-likelihood, plus the weighted loss of the auxiliary head where one
    spoke.

    allowed: bool [n_tokens, n_tags], the tags that the annotation leaves open.
    """
    leaves = [tensor.detach().requires_grad_() for tensor in output.potentials.tensors()]
    potentials = output.potentials.with_tensors(leaves)
    annotation = torch.from_numpy(allowed)
    with torch.enable_grad():
        losses = negative_log_likelihood(potentials, output.lengths, annotation)
        if potentials.segmentation is not None:
            losses = losses + potentials.segmentation.losses(output.lengths, annotation)
        loss = losses.mean()
        gradients = torch.autograd.grad(loss, leaves)
    return loss.item(), potentials.with_tensors(gradients)


@torch.inference_mode()
def label_posts(
    output: TaggerOutput, labels: Sequence[str], *, threshold: float, attention: bool
) -> list[Labeling]:
    """Decode the posts of a batch: the entities of the best path, each with its probability."""
    tags = viterbi(output.potentials, output.lengths).cpu().numpy()
    starts = np.cumsum([0, *output.lengths.tolist()])
    posts = [entities_of(tags[start:end]) for start, end in pairwise(starts)]
    scores = iter(_scores(output, posts, starts))
    by_modality = _attention(output, starts) if attention else [None] * len(posts)
    by_region = _region_attention(output, starts) if attention else [None] * len(posts)
    labelings = []
    for i, spans in enumerate(posts):
        entities = [(s, e, labels[label], next(scores)) for s, e, label in spans]
        labelings.append(
            Labeling(
                entities=[entity for entity in entities if entity[3] >= threshold],
                attention=by_modality[i],
                image_status=output.image_status[i],
                image_attention=by_region[i],
            )
        )
    return labelings


def _scores(
    output: TaggerOutput, posts: list[list[tuple[int, int, int]]], starts: np.ndarray
) -> list[float]:
    """The probability of every entity of the batch, in order."""
    spans = [
        (starts[i] + first, starts[i] + end - 1, label)
        for i, spans in enumerate(posts)
        for first, end, label in spans
    ]
    if not spans:
        return []
    index = torch.tensor(spans, dtype=torch.int64, device=output.potentials.emissions.device)
    probabilities = span_probabilities(output.potentials, output.lengths, index)
    return probabilities.clamp(0.0, 1.0).tolist()


def _attention(output: TaggerOutput, starts: np.ndarray) -> list[Attention | None]:
    """Each post's attention to every modality, copies of its own."""
    if output.attention is None:
        return [None] * (len(starts) - 1)
    weights = output.attention.float().cpu().numpy()
    return [
        {name: weights[start:end, i].copy() for i, name in enumerate(output.modalities)}
        for start, end in pairwise(starts)
    ]


def _region_attention(output: TaggerOutput, starts: np.ndarray) -> list[Attention | None]:
    """Each post's attention to the regions it has, without those that pad the batch."""
    if not output.region_attention:
        return [None] * (len(starts) - 1)
    told = {
        name: (weights.float().cpu().numpy(), output.regions[name].cpu().numpy())
        for name, weights in output.region_attention.items()
    }
    return [
        {name: weights[start:end][:, has[i]] for name, (weights, has) in told.items()}
        for i, (start, end) in enumerate(pairwise(starts))
    ]
