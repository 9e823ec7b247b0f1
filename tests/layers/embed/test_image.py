from __future__ import annotations

import torch

from spacy_mner.layers.embed import ImageEmbedding

LENGTHS = torch.tensor([1, 2])


def embedding(bottleneck: int | None = None) -> ImageEmbedding:
    torch.manual_seed(0)
    return ImageEmbedding(width=3, dim=5, dropout=0.0, bottleneck=bottleneck)


def test_unavailable_regions_are_zero():
    available = torch.tensor([[True, False], [False, False]])
    embedded = embedding()({"regions": torch.randn(2, 2, 5), "available": available}, LENGTHS)
    assert embedded.regions.any(dim=2).tolist() == available.tolist()
    assert torch.equal(embedded.available, available)


def test_the_output_does_not_depend_on_the_scale_of_the_features():
    embed, regions = embedding(), torch.randn(2, 1, 5)
    available = torch.ones(2, 1, dtype=torch.bool)
    small = embed({"regions": regions, "available": available}, LENGTHS).regions
    large = embed({"regions": regions * 1000, "available": available}, LENGTHS).regions
    assert torch.allclose(small, large, atol=1e-3)


def test_the_rank_of_the_output_is_the_width_of_the_bottleneck():
    features = {
        "regions": torch.randn(40, 1, 5),
        "available": torch.ones(40, 1, dtype=torch.bool),
    }
    lengths = torch.ones(40, dtype=torch.int64)

    def rank(embed: ImageEmbedding) -> int:
        regions = embed(features, lengths).regions.squeeze(1)
        return int(torch.linalg.matrix_rank(regions - regions.mean(0), rtol=1e-4))

    assert rank(embedding()) == 3
    assert rank(embedding(bottleneck=1)) == 1


def test_a_batch_without_regions_is_embedded():
    available = torch.zeros(2, 0, dtype=torch.bool)
    embedded = embedding()({"regions": torch.zeros(2, 0, 5), "available": available}, LENGTHS)
    assert embedded.regions.shape == (2, 0, 3)
