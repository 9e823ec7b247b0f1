from __future__ import annotations

import math

import pytest
import torch

from spacy_mner.layers.decode import CRF, negative_log_likelihood, span_probabilities, viterbi
from spacy_mner.layers.decode.bio import bio_tags
from spacy_mner.layers.decode.potentials import FORBIDDEN


def test_scores_that_bio_excludes_are_forbidden_and_the_others_are_parameters():
    crf = CRF(input_width=3, n_labels=2)
    potentials = crf(torch.randn(4, 3), torch.tensor([4]))
    tags = bio_tags(["PER", "LOC"])
    o, b_per, i_per, i_loc = (tags.index(tag) for tag in ("O", "B-PER", "I-PER", "I-LOC"))
    assert potentials.start[i_per] == FORBIDDEN
    assert potentials.start[b_per] == crf.start[b_per]
    assert potentials.transitions[o, i_per] == FORBIDDEN
    assert potentials.transitions[b_per, i_loc] == FORBIDDEN
    assert potentials.transitions[b_per, i_per] == crf.transitions[b_per, i_per]
    assert torch.equal(potentials.end, crf.end)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_emissions_are_computed_in_the_precision_of_the_parameters(dtype: torch.dtype):
    crf, vectors, lengths = CRF(input_width=64, n_labels=1).to(dtype), torch.randn(8, 64), [8]
    expected = crf(vectors.to(dtype), torch.tensor(lengths)).emissions
    with torch.autocast("cpu", dtype=torch.bfloat16):
        emissions = crf(vectors, torch.tensor(lengths)).emissions
    assert torch.equal(emissions, expected)
    assert crf(vectors.half(), torch.tensor(lengths)).emissions.dtype == dtype


def test_the_state_dict_holds_only_parameters():
    crf = CRF(input_width=3, n_labels=1)
    assert set(crf.state_dict()) == {name for name, _ in crf.named_parameters()}


VECTORS, LENGTHS = torch.linspace(-3, 3, 36).sin().view(12, 3) * 4, torch.tensor([5, 0, 4, 3])


def trained_crf(n_labels: int = 2, segmentation: str | None = None) -> CRF:
    torch.manual_seed(0)
    crf = CRF(input_width=3, n_labels=n_labels, segmentation=segmentation)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


@pytest.mark.parametrize("n_known", [0, 1, 2])
def test_adding_labels_keeps_parameters_and_predictions_of_known_labels(n_known: int):
    crf, grown = trained_crf(n_known), trained_crf(n_known)
    grown.add_labels(2)
    size = 2 * n_known + 1
    before, after = crf(VECTORS, LENGTHS), grown(VECTORS, LENGTHS)
    assert after.emissions.shape == (12, size + 4)
    assert torch.equal(grown.transitions[:size, :size], crf.transitions)
    for name in ("emission.weight", "emission.bias", "start", "end"):
        assert torch.equal(grown.get_parameter(name)[:size], crf.get_parameter(name))
    assert torch.equal(viterbi(before, LENGTHS), viterbi(after, LENGTHS))
    spans = torch.tensor([[first, first + 1, k] for first in (0, 5, 9) for k in range(n_known)])
    ours, theirs = (span_probabilities(p, LENGTHS, spans.view(-1, 3)) for p in (before, after))
    assert torch.allclose(ours, theirs, rtol=0, atol=5 * 4 * math.exp(-10))


def test_an_added_label_is_learned():
    crf = trained_crf(1)
    crf.add_labels(1)
    tags = [0, 1, 2, 0, 3, 4]
    vectors, lengths = torch.eye(6)[:, :3] + torch.eye(6)[:, 3:] * 2, torch.tensor([6])
    optimizer = torch.optim.Adam(crf.parameters(), lr=0.3)
    allowed = torch.nn.functional.one_hot(torch.tensor(tags), 5).bool()
    for _ in range(100):
        optimizer.zero_grad()
        negative_log_likelihood(crf(vectors, lengths), lengths, allowed).sum().backward()
        optimizer.step()
    assert viterbi(crf(vectors, lengths), lengths).tolist() == tags


def test_added_labels_have_the_shapes_and_constraints_of_a_new_crf():
    grown, new = trained_crf(1, "bio"), trained_crf(3, "bio")
    grown.add_labels(2)
    grown.load_state_dict(new.state_dict())
    for ours, theirs in zip(
        grown(VECTORS, LENGTHS).tensors(), new(VECTORS, LENGTHS).tensors(), strict=True
    ):
        assert torch.equal(ours, theirs)
