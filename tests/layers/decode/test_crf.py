from __future__ import annotations

import pytest
import torch

from spacy_mner.layers.decode import CRF, FORBIDDEN, bio_tags


def test_what_bio_rules_out_is_forbidden_and_the_rest_is_learned():
    crf = CRF(input_width=3, labels=["PER", "LOC"])
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
def test_emissions_have_the_precision_of_the_parameters(dtype: torch.dtype):
    crf = CRF(input_width=3, labels=["PER"]).to(dtype)
    assert crf(torch.randn(4, 3).half(), torch.tensor([4])).emissions.dtype == dtype


def test_autocast_does_not_reach_the_emissions():
    torch.manual_seed(0)
    crf = CRF(input_width=64, labels=["PER"])
    vectors, lengths = torch.randn(8, 64), torch.tensor([8])
    expected = crf(vectors, lengths).emissions
    with torch.autocast("cpu", dtype=torch.bfloat16):
        emissions = crf(vectors, lengths).emissions
    assert emissions.dtype == torch.float32
    assert torch.equal(emissions, expected)


def test_only_learned_scores_are_saved():
    assert set(CRF(input_width=3, labels=["PER"]).state_dict()) == {
        "emit.weight",
        "emit.bias",
        "transitions",
        "start",
        "end",
    }
