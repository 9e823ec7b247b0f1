from __future__ import annotations

import pytest
import torch

from spacy_mner.layers.embed import WordVectors

LENGTHS = torch.tensor([2, 2])


def test_pretrained_vectors_are_projected_and_unknown_words_share_a_learned_vector():
    embed = WordVectors(width=3, dim=5, n_words=0, dropout=0.0)
    torch.nn.init.constant_(embed.unknown_vector, 2)
    vectors, token = torch.randn(3, 5), torch.tensor([2, 0, 1, 0])
    features = {"vectors": vectors, "known": torch.tensor([True, False, False]), "token": token}
    embedded = embed(features, LENGTHS)
    expected = embed.projection(torch.stack([vectors[0], *torch.full((2, 5), 2.0)]))[token]
    assert torch.allclose(embedded.vectors, expected, atol=1e-6)
    assert embedded.available.all()
    embedded.vectors.sum().backward()
    assert embed.unknown_vector.grad.any()


def test_fine_tuning_starts_from_pretrained_vectors_and_changes_training_words_only():
    embed = WordVectors(width=3, dim=5, n_words=2, dropout=0.0)
    vectors, token = torch.randn(3, 5), torch.arange(3)
    features = {"vectors": vectors, "known": torch.tensor([True, True, False]), "token": token}
    features["row"] = torch.tensor([0, 1, 2])
    before = embed(features, torch.tensor([3])).vectors
    unknown = embed.projection(embed.unknown_vector.unsqueeze(0))
    assert torch.allclose(before, torch.cat([embed.projection(vectors[:2]), unknown]), atol=1e-6)
    before.square().sum().backward()
    assert embed.offsets.weight.grad[0].abs().sum() == 0
    assert (embed.offsets.weight.grad[1:].abs().sum(dim=1) > 0).all()
    with torch.no_grad():
        embed.offsets.weight[1:] = 1.0
    after = embed(features, torch.tensor([3])).vectors
    assert torch.equal(after[0], before[0])
    assert torch.allclose(after[1], embed.projection(vectors[1] + 1), atol=1e-6)


def test_without_pretrained_vectors_a_table_is_learned():
    embed = WordVectors(width=3, dim=0, n_words=7, dropout=0.0)
    features = {"row": torch.tensor([7, 0]), "token": torch.tensor([0, 1, 1, 0])}
    embedded = embed(features, LENGTHS)
    assert torch.equal(embedded.vectors, embed.embedding.weight[[7, 0, 0, 7]])
    assert embedded.available.all()


@pytest.mark.parametrize("dim", [0, 5])
def test_an_empty_batch_has_outputs_of_length_zero(dim):
    none = torch.zeros(0, dtype=torch.int64)
    features = {"vectors": torch.zeros(0, dim), "known": none.bool(), "row": none, "token": none}
    embedded = WordVectors(width=3, dim=dim, n_words=7, dropout=0.5)(features, none)
    assert (embedded.vectors.shape, embedded.available.shape) == ((0, 3), (0,))


@pytest.mark.parametrize(
    ("dim", "n_words", "expected"),
    [(5, 0, [1, 0, 0, 0]), (5, 3, [1, 0, 1, 0]), (0, 3, [0, 0, 1, 0])],
)
def test_a_word_is_known_by_its_vector_or_by_a_row_of_its_own(dim, n_words, expected):
    token = torch.tensor([0, 1, 2, 1])
    known, row = torch.tensor([True, False, False]), torch.tensor([0, 0, 3])
    features = {"vectors": torch.randn(3, 5), "known": known, "row": row, "token": token}
    embed = WordVectors(width=3, dim=dim, n_words=n_words, dropout=0.0)
    assert embed(features, LENGTHS).known.tolist() == expected
