from __future__ import annotations

import torch

from spacy_mner.layers.embed import Tok2VecEmbedding


def test_vectors_are_projected_and_gradients_flow_back():
    embed = Tok2VecEmbedding(width=3, dim=5, dropout=0.0)
    vectors = torch.randn(4, 5, requires_grad=True)
    embedded = embed({"vectors": vectors}, torch.tensor([1, 3]))
    assert torch.allclose(embedded.vectors, embed.projection(vectors))
    assert embedded.available.all() and embedded.available.dtype == torch.bool
    embedded.vectors.sum().backward()
    assert torch.allclose(vectors.grad, embed.projection.weight.sum(0).expand(4, 5))
