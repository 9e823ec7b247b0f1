from __future__ import annotations

import torch

from spacy_mner.layers.embed import StoredVectors
from spacy_mner.layers.embed.stored_vectors import MAX_VALUE


def test_vectors_are_stored_with_an_error_of_at_most_half_a_step():
    vectors = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) * 3
    vectors[7] = 0
    layer = StoredVectors(width=8, dim=16, n_stored=50, n_words=0, dropout=0.0)
    layer.store(vectors)
    stored = layer.table[1:].double() * layer.scale[1:].double()
    step = vectors.abs().amax(dim=1, keepdim=True).double() / MAX_VALUE
    # The scale itself is rounded to 11 bits.
    assert ((stored - vectors).abs() <= step * (0.5 + MAX_VALUE * 2**-11)).all()
