"""Path probabilities of a CRF by enumeration of all paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

import torch
from torch import Tensor

from spacy_mner.layers.decode.bio import n_tags, start_allowed, transition_allowed
from spacy_mner.layers.decode.potentials import FORBIDDEN, Potentials

Path = tuple[int, ...]
# The lengths of the posts of a batch.
BATCHES = [[3, 1, 4, 0, 2], [1], [0, 0], [], [0, 5], [2, 2, 2]]


def random_potentials(
    n_tokens: int, n_labels: int, *, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Potentials:
    generator = torch.Generator().manual_seed(seed)
    size = n_tags(n_labels)

    def scores(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return Potentials(
        scores(n_tokens, size),
        scores(size, size).masked_fill(~transition_allowed(n_labels), FORBIDDEN),
        scores(size).masked_fill(~start_allowed(n_labels), FORBIDDEN),
        scores(size),
    )


def post_slices(lengths: Sequence[int]) -> Iterator[slice]:
    start = 0
    for length in lengths:
        yield slice(start, start + length)
        start += length


def path_probabilities(potentials: Potentials, post: slice) -> dict[Path, float]:
    """The probability of each path of a post."""
    emissions = potentials.emissions[post].tolist()
    transitions = potentials.transitions.tolist()
    start, end = potentials.start.tolist(), potentials.end.tolist()
    paths = list(product(range(len(start)), repeat=len(emissions)))

    def score(path: Path) -> float:
        if not path:
            return 0.0
        total = start[path[0]] + end[path[-1]]
        total += sum(row[tag] for row, tag in zip(emissions, path, strict=True))
        return total + sum(transitions[a][b] for a, b in pairwise(path))

    weights = torch.tensor([score(path) for path in paths], dtype=torch.float64).softmax(0)
    return dict(zip(paths, weights.tolist(), strict=True))


def probability(weights: dict[Path, float], holds: Callable[[Path], bool]) -> float:
    return sum(weight for path, weight in weights.items() if holds(path))
