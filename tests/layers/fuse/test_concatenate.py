from __future__ import annotations

import torch

from spacy_mner.layers.fuse import Concatenate
from spacy_mner.layers.types import RegionVectors, TokenVectors

LENGTHS = torch.tensor([1, 2])


def test_modalities_are_concatenated_in_the_order_of_the_widths():
    word = TokenVectors(torch.randn(3, 2), torch.ones(3, dtype=torch.bool))
    image = RegionVectors(torch.randn(2, 1, 4), torch.ones(2, 1, dtype=torch.bool))
    fuser = Concatenate(widths={"word": 2, "image": 4}, dropout=0.0)
    fused = fuser({"image": image, "word": word}, LENGTHS)
    assert fuser.width == 6
    assert fused.attention is None
    assert torch.equal(fused.vectors[:, :2], word.vectors)
    assert torch.equal(fused.vectors[:, 2:], image.regions[[0, 1, 1], 0])


def test_an_absent_modality_is_replaced_by_a_learned_vector():
    fuser = Concatenate(widths={"word": 2, "image": 4}, dropout=0.0)
    with torch.no_grad():
        fuser.absent_vectors.copy_(torch.arange(6.0))
    word = TokenVectors(torch.randn(3, 2), torch.ones(3, dtype=torch.bool))
    image = RegionVectors(torch.randn(2, 1, 4), torch.tensor([[True], [False]]))
    fused = fuser({"word": word, "image": image}, LENGTHS)
    assert torch.equal(fused.vectors[0, 2:], image.regions[0, 0])
    assert fused.vectors[1:, 2:].tolist() == [[2, 3, 4, 5], [2, 3, 4, 5]]
    fused.vectors.sum().backward()
    assert fuser.absent_vectors.grad.tolist() == [0, 0, 2, 2, 2, 2]
