from __future__ import annotations

import numpy as np
import pytest
import torch

from spacy_mner.layers.embed import ObjectEmbedding
from spacy_mner.layers.types import Features

LENGTHS = torch.tensor([2, 1])
LABEL = torch.tensor([[3, 1, 0], [3, 0, 2]])
AVAILABLE = torch.tensor([[True, True, False], [True, False, False]])


def embedding(dim: int = 0, dropout: float = 0.0) -> ObjectEmbedding:
    torch.manual_seed(0)
    return ObjectEmbedding(width=4, n_labels=3, dim=dim, dropout=dropout)


def features(dim: int = 0) -> Features:
    vectors = torch.randn(2, 3, dim, generator=torch.Generator().manual_seed(1))
    return {"label": LABEL, "available": AVAILABLE, **({"vectors": vectors} if dim else {})}


@pytest.mark.parametrize("has_label", [True, False])
def test_an_object_is_its_label_embedding_plus_its_projected_vector(has_label):
    embed, vectors = embedding(dim=5).double(), features(dim=5)["vectors"].double()
    label = LABEL * has_label
    given = {"label": label, "vectors": vectors, "available": AVAILABLE}
    embedded = embed(given, LENGTHS)
    assert torch.equal(embedded.available, AVAILABLE)
    v, of_label = vectors.numpy(), embed.embedding.weight.detach().numpy()[label.numpy()]
    assert of_label.any() == has_label
    normed = (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + 1e-5)
    weight, bias = (p.detach().numpy() for p in embed.projection[1].parameters())
    expected = (of_label + normed @ weight.T + bias)[AVAILABLE.numpy()]
    np.testing.assert_allclose(embedded.regions[AVAILABLE].detach(), expected, atol=1e-12)
    assert not embedded.regions[~AVAILABLE].any()


def test_the_output_does_not_depend_on_the_scale_of_the_vectors():
    embed, given = embedding(dim=5), features(dim=5)
    larger = embed({**given, "vectors": 1000 * given["vectors"]}, LENGTHS)
    assert torch.allclose(embed(given, LENGTHS).regions, larger.regions, atol=1e-3)


def test_only_labels_in_the_batch_get_gradients():
    embed = embedding()
    embed(features(), LENGTHS).regions.sum().backward()
    assert embed.embedding.weight.grad.any(dim=1).tolist() == [False, True, False, True]


def test_a_batch_without_objects_is_embedded():
    nothing = {"label": LABEL[:, :0], "available": AVAILABLE[:, :0]}
    assert embedding()(nothing, LENGTHS).regions.shape == (2, 0, 4)


def test_dropout_applies_to_the_output():
    full, dropped = (embedding(dropout=p)(features(), LENGTHS).regions for p in (0.0, 0.5))
    kept = dropped != 0
    assert kept.any() and not kept[AVAILABLE].all()
    assert torch.allclose(dropped[kept], 2 * full[kept])
