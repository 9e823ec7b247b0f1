"""The forward-backward algorithm, batched over posts, with one loop over time.

A forward message at a token is the log-sum-exp of the scores of all paths from the start of the
post to this token and tag; a backward message, of all paths from the end. Both include the token's
emission, so that one recursion computes both: the backward messages are the forward messages of the
reversed post, with transposed transitions and with start and end exchanged.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..ragged import Packing, posts_of_tokens
from .potentials import Potentials


def forward_messages(potentials: Potentials, packing: Packing) -> Tensor:
    """[n_tokens, n_tags]"""
    messages = _recur(
        potentials.emissions[packing.forward].unsqueeze(0),
        potentials.transitions.unsqueeze(0),
        potentials.start.unsqueeze(0),
        packing,
    )
    return messages[0][packing.unpack_forward]


def both_messages(potentials: Potentials, packing: Packing) -> tuple[Tensor, Tensor]:
    """Forward and backward messages, each [n_tokens, n_tags], in one loop."""
    emissions = potentials.emissions
    messages = _recur(
        emissions[torch.stack([packing.forward, packing.backward])],
        torch.stack([potentials.transitions, potentials.transitions.T]),
        torch.stack([potentials.start, potentials.end]),
        packing,
    )
    return messages[0][packing.unpack_forward], messages[1][packing.unpack_backward]


def _recur(emissions: Tensor, transitions: Tensor, start: Tensor, packing: Packing) -> Tensor:
    """Messages [n_directions, n_tokens, n_tags] in packed order, for one or two directions.

    emissions: [n_directions, n_tokens, n_tags], in packed order. transitions: [n_directions,
    n_tags, n_tags]. start: [n_directions, n_tags].
    """
    if not len(packing.counts):
        return emissions
    transitions = transitions.unsqueeze(1)
    steps = emissions.split(packing.counts.tolist(), dim=1)
    messages = [steps[0] + start.unsqueeze(1)]
    for step in steps[1:]:
        previous = messages[-1][:, : step.shape[1]]
        scores = previous.unsqueeze(3) + transitions
        # Faster than torch.logsumexp, which handles infinities; FORBIDDEN is finite.
        top = scores.amax(dim=2)
        total = scores.sub_(top.unsqueeze(2)).exp_().sum(dim=2).log_()
        messages.append(total.add_(top).add_(step))
    return torch.cat(messages, dim=1)


def totals(forward: Tensor, end: Tensor, packing: Packing) -> Tensor:
    """The log partition function of the posts with tokens, in the order of `packing.posts`."""
    return torch.logsumexp(forward[packing.last] + end, dim=1)


class LogPartition(torch.autograd.Function):
    """The log partition function of each post: [n_posts], 0 for an empty post.

    Its gradient is the expected count of each tag and transition. The backward messages give it for
    one more recursion in the same loop; autograd through the loop costs several times as much.
    """

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        packing: Packing,
        lengths: Tensor,
    ) -> Tensor:
        potentials = Potentials(emissions, transitions, start, end)
        ctx.packing, ctx.lengths = packing, lengths
        if any(ctx.needs_input_grad):
            forward, backward = both_messages(potentials, packing)
        else:
            forward, backward = forward_messages(potentials, packing), emissions
        nonempty = totals(forward, end, packing)
        result = emissions.new_zeros(len(lengths)).index_copy_(0, packing.posts, nonempty)
        ctx.save_for_backward(emissions, transitions, forward, backward, result)
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        emissions, transitions, forward, backward, result = ctx.saved_tensors
        packing: Packing = ctx.packing
        posts = posts_of_tokens(ctx.lengths).to(emissions.device)
        weight, total = upstream[posts].unsqueeze(1), result[posts].unsqueeze(1)
        # Clamped, because in a post where every path is forbidden rounding errors overflow.
        tags = (forward + backward - emissions - total).clamp_(max=0).exp_().mul_(weight)
        after = packing.following
        before = after - 1
        pairs = (forward[before] - total[after]).unsqueeze(2) + transitions
        pairs = pairs.add_(backward[after].unsqueeze(1)).clamp_(max=0).exp_()
        expected = pairs.mul_(weight[after].unsqueeze(2)).sum(dim=0)
        return tags, expected, tags[packing.first].sum(0), tags[packing.last].sum(0), None, None


def log_partition(potentials: Potentials, packing: Packing, lengths: Tensor) -> Tensor:
    """The log partition function of each post: [n_posts]; differentiable once."""
    result: Tensor = LogPartition.apply(
        potentials.emissions,
        potentials.transitions,
        potentials.start,
        potentials.end,
        packing,
        lengths,
    )
    return result
