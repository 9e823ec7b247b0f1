"""Loss, best path and probabilities of a linear-chain CRF.

All functions take the potentials of a batch and the lengths of its posts (int64 [n_posts], on the
CPU), and compute all posts at once. Empty posts and empty batches are valid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..ragged import Packing, from_grid, posts_of_tokens, to_grid
from .bio import begin_tag, inside_tag
from .forward_backward import LogPartition, forward_backward
from .potentials import FORBIDDEN, Potentials


def negative_log_likelihood(potentials: Potentials, lengths: Tensor, allowed: Tensor) -> Tensor:
    """-log of the total probability of all paths of allowed tags: [n_posts].

    allowed: bool [n_tokens, n_tags], one tag where the annotation is known, all where it is
        missing. On the CPU, it causes no synchronization with a GPU.

    The loss is 0, without gradient, for an empty post and for a post without a path of allowed
    tags that the BIO scheme permits. NaN potentials give a NaN loss. Differentiable once.
    """
    packing = Packing.of(lengths, potentials.emissions.device)
    others = (potentials.transitions, potentials.start, potentials.end, packing, lengths)
    if (allowed.sum(dim=1) == 1).all():
        tags = allowed.to(torch.int8).argmax(dim=1).to(packing.posts.device)
        numerator = _path_scores(potentials, packing, lengths, tags)
    else:
        numerator = LogPartition.apply(potentials.constrained(allowed).emissions, *others)
    loss: Tensor = LogPartition.apply(potentials.emissions, *others) - numerator
    return loss.masked_fill(numerator < FORBIDDEN / 2, 0)


def _path_scores(potentials: Potentials, packing: Packing, lengths: Tensor, tags: Tensor) -> Tensor:
    """The score of one path per post: [n_posts]."""
    after = packing.following
    scores = potentials.emissions.gather(1, tags.unsqueeze(1)).squeeze(1)
    steps = potentials.transitions[tags[after - 1], tags[after]]
    ends = potentials.start[tags[packing.first]] + potentials.end[tags[packing.last]]
    posts = posts_of_tokens(lengths).to(tags.device)
    result = scores.new_zeros(len(lengths)).index_add(0, posts, scores)
    return result.index_add(0, posts[after], steps).index_add(0, packing.posts, ends)


@torch.no_grad()
def viterbi(potentials: Potentials, lengths: Tensor) -> Tensor:
    """The tags of the best path of each post: int64 [n_tokens]."""
    packing = Packing.of(lengths, potentials.emissions.device)
    tags = packing.forward.new_empty(len(potentials.emissions))
    if not len(tags):
        return tags
    steps = potentials.emissions[packing.forward].split(packing.counts.tolist())
    best, backpointers = steps[0] + potentials.start, []
    finished = []
    for step in steps[1:]:
        finished.append(best[len(step) :])
        scores, origin = (best[: len(step)].unsqueeze(2) + potentials.transitions).max(dim=1)
        best = scores + step
        backpointers.append(origin)
    # Posts are sorted by length, longest first; the shortest finished first.
    last_tags = (torch.cat([best, *reversed(finished)]) + potentials.end).argmax(dim=1)
    tags[packing.forward] = _trace_back(last_tags, backpointers)
    return tags


def _trace_back(last_tags: Tensor, backpointers: list[Tensor]) -> Tensor:
    """The best path in packed order: int64 [n_tokens]."""
    current = last_tags
    path = []
    for origin in reversed(backpointers):
        path.append(current[: len(origin)])
        earlier = origin.gather(1, path[-1].unsqueeze(1)).squeeze(1)
        current = torch.cat([earlier, current[len(origin) :]])
    return torch.cat([current, *reversed(path)])


@torch.no_grad()
def span_probabilities(potentials: Potentials, lengths: Tensor, spans: Tensor) -> Tensor:
    """The probability of each entity with exactly this span and label: [n_spans].

    spans: int64 [n_spans, 3], rows of (first token, last token, label index); flat token indices,
        the last one included.

    That is the total probability of all paths with `B` at the first token, `I` at the others, and
    no `I` of the label after them. Computed in float64, because sums over a whole post are too
    inexact in float32.
    """
    exact = potentials.with_tensors([tensor.double() for tensor in potentials.tensors()])
    spans = spans.to(exact.emissions.device)
    if not len(spans):
        return potentials.emissions.new_zeros(0)
    packing = Packing.of(lengths, spans.device)
    forward, backward = forward_backward(exact, packing)
    first, _, label = spans.unbind(dim=1)
    scores = forward[first, begin_tag(label)]
    scores = scores + _inner_scores(exact, lengths, spans)
    scores = scores + _scores_after(exact, packing, backward, spans)
    # The log partition function of the post, from the messages at any of its tokens.
    total = (forward + backward - exact.emissions)[first].logsumexp(dim=1)
    return (scores - total).clamp(max=0).exp().to(potentials.emissions.dtype)


def _inner_scores(exact: Potentials, lengths: Tensor, spans: Tensor) -> Tensor:
    """Emissions and transitions of a span after its first token: [n_spans]."""
    first, last, label = spans.unbind(dim=1)
    inside = inside_tag(label)
    # A running sum that contains FORBIDDEN loses the real scores, so these are counted apart.
    is_forbidden = exact.emissions < FORBIDDEN / 2
    columns = torch.stack([exact.emissions.masked_fill(is_forbidden, 0), is_forbidden.double()], 2)
    # Summed within each post, so that NaN stays in the post where it occurs.
    grid, _ = to_grid(columns, lengths)
    running = from_grid(grid.cumsum(dim=1), lengths)
    emissions, n_forbidden = (running[last, inside] - running[first, inside]).unbind(dim=1)
    entry = exact.transitions[begin_tag(label), inside]
    stay = exact.transitions[inside, inside] * (last - first - 1)
    return emissions + FORBIDDEN * n_forbidden + torch.where(last > first, entry + stay, 0)


def _scores_after(exact: Potentials, packing: Packing, backward: Tensor, spans: Tensor) -> Tensor:
    """The log-sum-exp of the scores of all continuations after a span: [n_spans]."""
    first, last, label = spans.unbind(dim=1)
    tag = torch.where(last > first, inside_tag(label), begin_tag(label))
    is_end = torch.zeros(len(backward), dtype=torch.bool, device=spans.device)
    is_end[packing.last] = True
    following = exact.transitions[tag] + backward[(last + 1).clamp(max=len(backward) - 1)]
    following = following.scatter(1, inside_tag(label).unsqueeze(1), FORBIDDEN)
    return torch.where(is_end[last], exact.end[tag], following.logsumexp(dim=1))
