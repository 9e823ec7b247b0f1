from __future__ import annotations

import numpy as np
import torch

from spacy_mner.layers.embed import SemanticAugmentation
from spacy_mner.layers.types import Features

LENGTHS = torch.tensor([3, 1])


def augmentation(dropout: float = 0.0) -> SemanticAugmentation:
    torch.manual_seed(0)
    return SemanticAugmentation(width=3, dim=5, dropout=dropout)


def features(available: list[list[bool]]) -> Features:
    generator = torch.Generator().manual_seed(1)
    n = (len(available), len(available[0]))
    return {
        "vectors": torch.randn(*n, 5, generator=generator),
        "similarity": torch.rand(*n, generator=generator),
        "available": torch.tensor(available).view(*n),
        "token": torch.tensor([1, 0, 1, 0]),
    }


def test_the_output_equals_the_published_equation():
    embed = augmentation().double()
    given = features([[True, True], [True, False]])
    given |= {name: given[name].double() for name in ("vectors", "similarity")}
    result = embed(given, LENGTHS)
    e, c = given["vectors"].numpy(), given["similarity"].numpy()
    first = np.average(e[0], axis=0, weights=np.exp(c[0]))
    weight, bias = embed.projection.weight.detach().numpy(), embed.projection.bias.detach().numpy()
    expected = np.stack([e[1, 0], first, e[1, 0], first]) @ weight.T + bias
    np.testing.assert_allclose(result.vectors.detach(), expected, atol=1e-12)
    assert result.available.all()


def test_words_without_nearest_words_share_a_learned_vector():
    embed = augmentation()
    vectors = embed(features([[False, False], [False, False]]), LENGTHS).vectors
    assert torch.equal(vectors, vectors[:1].expand(4, -1))
    assert embed.unknown_vector.any() and embed.unknown_vector.abs().max() <= 0.1
    vectors.sum().backward()
    assert embed.unknown_vector.grad.all()


def test_batches_without_nearest_words_or_tokens_are_embedded():
    embed = augmentation()
    no_neighbors = features([[True], [True]])
    no_neighbors = {n: t if n == "token" else t[:, :0] for n, t in no_neighbors.items()}
    assert torch.equal(
        embed(no_neighbors, LENGTHS).vectors,
        embed(features([[False], [False]]), LENGTHS).vectors,
    )
    empty = {name: tensor[:0] for name, tensor in features([[True]]).items()}
    assert embed(empty, torch.tensor([0])).vectors.shape == (0, 3)


def test_dropout_applies_to_the_mean_of_the_nearest_words():
    torch.manual_seed(0)
    embed, given = augmentation(dropout=0.999999), features([[True], [True]])
    assert torch.allclose(embed(given, LENGTHS).vectors, embed.projection.bias.expand(4, -1))
