from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from spacy_mner.layers.embed import TransformerEmbedding, transformer


class Neighbors(nn.Module):
    """A stub of an encoder: the vector of a piece is its id and the mean of the attended ids.

    Two numbers a piece, the second one of the pieces' types where there are any.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.calls: list[tuple[int, ...]] = []

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> SimpleNamespace:
        self.calls.append(tuple(input_ids.shape))
        ids, mask = input_ids.float() * attention_mask, attention_mask.float()
        mean = (ids.sum(1) / mask.sum(1)).unsqueeze(1).expand_as(ids)
        second = mean if token_type_ids is None else token_type_ids.float()
        return SimpleNamespace(last_hidden_state=torch.stack([self.scale * ids, second], dim=2))


FEATURES = {
    "pieces": torch.tensor([1, 2, 3, 6, 10, 20, 5]),
    "lengths": torch.tensor([4, 2, 1]),
    # Two posts: of 3 tokens, in the first two segments, and of 1 token.
    "first_piece": torch.tensor([0, 4, 2, 6]),
}
LENGTHS = torch.tensor([3, 1])


def embedding(**settings) -> TransformerEmbedding:
    defaults = {"dim": 2, "width": None, "dropout": 0.0, "freeze": False}
    return TransformerEmbedding(encoder=Neighbors(), **{**defaults, **settings})


def test_a_token_has_the_vector_of_its_piece_computed_in_its_segment():
    embedded = embedding()(FEATURES, LENGTHS)
    assert embedded.vectors.tolist() == [[2.0, 3.0], [20.0, 15.0], [6.0, 3.0], [10.0, 5.0]]
    assert embedded.available.all()


def test_token_types_are_passed_to_the_encoder_if_features_have_them():
    types = torch.tensor([0, 0, 1, 1, 0, 1, 0])
    vectors = embedding()({**FEATURES, "types": types}, LENGTHS).vectors
    assert vectors[:, 1].tolist() == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("cells", [1, 4, 7, 8])
def test_outputs_and_gradients_do_not_depend_on_the_bounded_size_of_encoder_batches(
    monkeypatch, cells
):
    def results(one: TransformerEmbedding) -> tuple[Tensor, Tensor]:
        vectors = one(FEATURES, LENGTHS).vectors
        vectors.square().sum().backward()
        return vectors, one.encoder.scale.grad

    whole = results(embedding())
    monkeypatch.setitem(transformer.PADDED_PIECES, "cpu", cells)
    one = embedding()
    for ours, theirs in zip(results(one), whole, strict=True):
        assert torch.allclose(ours, theirs)
    assert all(n == 1 or n * longest <= cells for n, longest in one.encoder.calls)
    assert sum(n for n, _ in one.encoder.calls) == 3


@pytest.mark.parametrize("width, is_projected", [(None, False), (2, False), (5, True)])
def test_vectors_are_projected_if_another_width_is_configured(width, is_projected):
    one = embedding(width=width)
    assert one.width == (width or 2)
    assert one(FEATURES, LENGTHS).vectors.shape == (4, one.width)
    assert isinstance(one.projection, nn.Linear) == is_projected


def test_dropout_applies_in_training_only():
    one = embedding(dropout=0.5)
    assert (one.train()(FEATURES, LENGTHS).vectors == 0).any()
    assert (one.eval()(FEATURES, LENGTHS).vectors != 0).all()


@pytest.mark.parametrize("freeze", [False, True])
def test_a_frozen_encoder_gets_no_gradient_and_stays_in_eval_mode(freeze):
    one = embedding(freeze=freeze, width=5).train()
    one(FEATURES, LENGTHS).vectors.sum().backward()
    assert (one.encoder.scale.grad is None) == freeze
    assert one.projection.weight.grad is not None
    assert one.training
    assert one.encoder.training != freeze
