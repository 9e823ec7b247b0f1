from __future__ import annotations

import torch

from spacy_mner.layers.embed import ImageTextMatch

LENGTHS = torch.tensor([2, 0, 1])
FEATURES = {
    "values": torch.tensor([[0, 3], [1, 4], [0, 3]]),
    "available": torch.tensor([True, True, False]),
}


def embedder(dropout: float = 0.0) -> ImageTextMatch:
    torch.manual_seed(0)
    return ImageTextMatch(width=4, n_values=5, dropout=dropout)


def test_a_token_is_the_sum_of_the_embeddings_of_its_values():
    embed = embedder()
    embedded = embed(FEATURES, LENGTHS)
    weight = embed.embedding.weight
    expected = torch.stack([weight[0] + weight[3], weight[1] + weight[4], weight[0] + weight[3]])
    assert torch.equal(embedded.vectors, expected)
    assert torch.equal(embedded.available, FEATURES["available"])
    assert embedded.known is None


def test_a_batch_without_tokens_is_embedded():
    nothing = {name: tensor[:0] for name, tensor in FEATURES.items()}
    assert embedder()(nothing, LENGTHS[1:2]).vectors.shape == (0, 4)


def test_dropout_applies_to_the_output():
    full, dropped = (embedder(p)(FEATURES, LENGTHS).vectors for p in (0.0, 0.5))
    kept = dropped != 0
    assert kept.any() and not kept.all()
    assert torch.allclose(dropped[kept], 2 * full[kept])
