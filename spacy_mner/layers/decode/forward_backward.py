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


def forward_backward(potentials: Potentials, packing: Packing) -> tuple[Tensor, Tensor]:
    """Forward and backward messages, each [n_tokens, n_tags], in one loop over time."""
    emissions = potentials.emissions
    if not len(emissions):
        return emissions, emissions
    transitions = torch.stack([potentials.transitions, potentials.transitions.T]).unsqueeze(1)
    start = torch.stack([potentials.start, potentials.end]).unsqueeze(1)
    packed = emissions[torch.stack([packing.forward, packing.backward])]
    steps = packed.split(packing.counts.tolist(), dim=1)
    messages = [steps[0] + start]
    for step in steps[1:]:
        previous = messages[-1][:, : step.shape[1]]
        scores = previous.unsqueeze(3) + transitions
        # Faster than torch.logsumexp, which handles infinities; FORBIDDEN is finite.
        top = scores.amax(dim=2)
        total = scores.sub_(top.unsqueeze(2)).exp_().sum(dim=2).log_()
        messages.append(total.add_(top).add_(step))
    forward, backward = torch.cat(messages, dim=1)
    return forward[packing.unpack_forward], backward[packing.unpack_backward]


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
        forward, backward = forward_backward(potentials, packing)
        nonempty = (forward[packing.last] + end).logsumexp(dim=1)
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
