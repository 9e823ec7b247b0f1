"""What the component asks of the CRF: the loss of an annotation, the entities of a post."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from ..annotation import Labelling, entities_of
from ..layers.decode import (
    Potentials,
    negative_log_likelihood,
    span_probabilities,
    viterbi,
)
from .tagger import TaggerOutput


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
) -> list[Labelling]:
    """Decode the posts of a batch: the entities of the best path, each with its probability."""
    tags = viterbi(output.potentials, output.lengths).cpu().numpy()
    starts = np.cumsum([0, *output.lengths.tolist()])
    posts = [entities_of(tags[start:end]) for start, end in pairwise(starts)]
    scores = iter(_scores(output, posts, starts))
    weights = None if output.attention is None else output.attention.float().cpu().numpy()
    labellings = []
    for i, spans in enumerate(posts):
        entities = [(s, e, labels[label], next(scores)) for s, e, label in spans]
        labellings.append(
            Labelling(
                entities=[entity for entity in entities if entity[3] >= threshold],
                attention=_by_modality(output, weights, starts[i], starts[i + 1])
                if attention
                else None,
                image_status=output.image_status[i],
            )
        )
    return labellings


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


def _by_modality(
    output: TaggerOutput, weights: np.ndarray | None, start: int, end: int
) -> dict[str, np.ndarray] | None:
    """One post's attention, a copy of its own for each modality."""
    if weights is None:
        return None
    return {name: weights[start:end, i].copy() for i, name in enumerate(output.modalities)}
