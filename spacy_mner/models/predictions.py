"""The loss, and the entities of posts, from the potentials of the CRF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from ..features.image_status import ImageStatus
from ..layers.decode import Potentials, negative_log_likelihood, span_probabilities, viterbi
from ..layers.decode.bio import entities_of
from .tagger import TaggerOutput

# Of one post, by modality name.
Attention = dict[str, np.ndarray]


@dataclass(frozen=True)
class PostPrediction:
    """What the network predicts for one post.

    entities: (first token, last token + 1, label, probability of exactly this span and label).
    image_status: whether the images of the post were used.
    modality_attention: modality name to float32 [n_tokens], or None.
    image_attention: modality name to float32 [n_tokens, n_regions], or None.
    """

    entities: list[tuple[int, int, str, float]]
    image_status: ImageStatus
    modality_attention: Attention | None = None
    image_attention: Attention | None = None


def loss_and_gradients(output: TaggerOutput, allowed: np.ndarray) -> tuple[float, Potentials]:
    """The mean loss of the posts, and its gradients with respect to the potentials.

    The loss is the negative log-likelihood of the allowed tag sequences, plus the weighted loss of
    the auxiliary head where the decoder has one.

    allowed: bool [n_tokens, n_tags], the tags that agree with the annotation.
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
def predict_posts(
    output: TaggerOutput,
    labels: Sequence[str],
    *,
    threshold: float,
    allowed: np.ndarray | None = None,
) -> list[PostPrediction]:
    """The entities of the most probable tag sequence of each post, each with its probability.

    threshold: entities with a smaller probability are left out.
    allowed: bool [n_tokens, n_tags], to decode under this constraint; None for no constraint.
    """
    potentials = output.potentials
    if allowed is not None:
        potentials = potentials.constrained(torch.from_numpy(allowed))
    tags = viterbi(potentials, output.lengths).tolist()
    starts = np.cumsum([0, *output.lengths.tolist()])
    posts = [entities_of(tags[start:end]) for start, end in pairwise(starts)]
    scores = iter(_scores(potentials, output.lengths, posts, starts))
    modality_attention = _per_post(output.modality_attention, starts)
    image_attention = _per_post(output.region_attention, starts, output.regions)
    predictions = []
    for i, spans in enumerate(posts):
        entities = [(start, end, labels[label], next(scores)) for start, end, label in spans]
        predictions.append(
            PostPrediction(
                entities=[entity for entity in entities if entity[3] >= threshold],
                image_status=output.image_status[i],
                modality_attention=modality_attention[i],
                image_attention=image_attention[i],
            )
        )
    return predictions


def _scores(
    potentials: Potentials,
    lengths: torch.Tensor,
    posts: list[list[tuple[int, int, int]]],
    starts: np.ndarray,
) -> list[float]:
    """The probability of every entity of the batch, in order."""
    spans = [
        (starts[i] + first, starts[i] + end - 1, label)
        for i, spans in enumerate(posts)
        for first, end, label in spans
    ]
    if not spans:
        return []
    index = torch.tensor(spans, dtype=torch.int64, device=potentials.emissions.device)
    return span_probabilities(potentials, lengths, index).clamp(0.0, 1.0).tolist()


def _per_post(
    attention: Mapping[str, torch.Tensor],
    starts: np.ndarray,
    regions: Mapping[str, torch.Tensor] | None = None,
) -> list[Attention | None]:
    """The attention of each post, without the regions that pad the batch; None if there is none."""
    if not attention:
        return [None] * (len(starts) - 1)
    weights = {name: tensor.float().cpu().numpy() for name, tensor in attention.items()}
    masks = {name: mask.cpu().numpy() for name, mask in (regions or {}).items()}
    # Copies, to release the arrays of the batch.
    return [
        {
            name: rows[start:end][:, masks[name][i]] if masks else rows[start:end].copy()
            for name, rows in weights.items()
        }
        for i, (start, end) in enumerate(pairwise(starts))
    ]
