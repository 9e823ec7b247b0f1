from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from spacy_mner.layers.decode import CRF, negative_log_likelihood, span_probabilities, viterbi
from spacy_mner.layers.embed import CharBiLSTM, ImageEmbedding, TransformerEmbedding, WordVectors
from spacy_mner.layers.encode import BiLSTM, NoEncoder
from spacy_mner.layers.fuse import Concatenate, CrossModal, ModalityAttention
from spacy_mner.layers.network import TaggerNetwork
from spacy_mner.layers.types import Features, Fused

from .fuse.random_batches import SETTINGS

WIDTH, LENGTHS = 6, torch.tensor([2, 0, 3, 1])
GOLD = nn.functional.one_hot(torch.tensor([1, 2, 0, 3, 4, 0]), 5).bool()


def network(*, attention: bool = True, recurrent: bool = True) -> TaggerNetwork:
    torch.manual_seed(0)
    embed: dict[str, nn.Module] = {
        "word": WordVectors(width=WIDTH, dim=5, n_words=0, dropout=0.0),
        "char": CharBiLSTM(width=WIDTH, n_characters=9, character_width=4, dropout=0.0),
        "image": ImageEmbedding(width=WIDTH, dim=7, dropout=0.0, bottleneck=None),
    }
    settings = {"widths": dict.fromkeys(embed, WIDTH), "dropout": 0.0}
    published = {"bounded": True, "combine": "sum", "skip_unknown": False}
    fuse = ModalityAttention(**settings, **published) if attention else Concatenate(**settings)
    encode: nn.Module = NoEncoder(input_width=fuse.width)
    if recurrent:
        encode = BiLSTM(input_width=fuse.width, hidden_width=4, dropout=0.0)
    decode = CRF(input_width=encode.width, n_labels=2)
    return TaggerNetwork(embed=embed, fuse=fuse, encode=encode, decode=decode)


def cross_modal(segmentation: str | None = "bio") -> TaggerNetwork:
    """The same modalities with cross-modal attention and an optional auxiliary head."""
    embed = dict(network().embed.items())
    fuse = CrossModal(**{**SETTINGS, "width": WIDTH, "widths": dict.fromkeys(embed, WIDTH)})
    decode = CRF(input_width=WIDTH, n_labels=2, segmentation=segmentation, auxiliary_width=WIDTH)
    encode = NoEncoder(input_width=WIDTH)
    return TaggerNetwork(embed=embed, fuse=fuse, encode=encode, decode=decode)


def features_of(posts: list[int]) -> dict[str, Features]:
    """The features of some of four fixed posts."""
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(6, 5, generator=generator)
    characters = torch.randint(1, 10, (6, 4), generator=generator)
    regions = torch.randn(4, 2, 7, generator=generator)
    available = torch.tensor([[True, True], [True, True], [False, False], [True, False]])
    starts = (LENGTHS.cumsum(0) - LENGTHS).tolist()
    rows = [starts[p] + i for p in posts for i in range(int(LENGTHS[p]))]
    token = torch.arange(len(rows))
    known = torch.tensor([True, False, True, True, True, False])
    return {
        "word": {"vectors": vectors[rows], "known": known[rows], "token": token},
        "char": {
            "characters": characters[rows],
            "lengths": torch.tensor([4, 1, 2, 4, 3, 1])[rows],
            "token": token,
        },
        "image": {"regions": regions[posts], "available": available[posts]},
    }


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("recurrent", [True, False])
def test_all_parameters_get_gradients(attention: bool, recurrent: bool):
    tagger = network(attention=attention, recurrent=recurrent)
    potentials = tagger(features_of([0, 1, 2, 3]), LENGTHS).potentials
    negative_log_likelihood(potentials, LENGTHS, GOLD).sum().backward()
    for name, parameter in tagger.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_the_output_of_a_post_does_not_depend_on_its_batch():
    tagger = network().eval()

    def outputs(posts: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        output = tagger(features_of(posts), LENGTHS[posts])
        return output.potentials.emissions, output.attention

    separate = [outputs([post]) for post in range(4)]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0], [1]):
        expected = [torch.cat(parts) for parts in zip(*(separate[p] for p in order), strict=True)]
        for ours, theirs in zip(outputs(order), expected, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("region_attention", [False, True])
def test_attention_is_that_of_the_fuser(region_attention: bool):
    features, lengths = features_of([0, 2, 3]), LENGTHS[[0, 2, 3]]
    output = network()(features, lengths, region_attention=region_attention)
    assert output.attention.sum(1).tolist() == pytest.approx([1] * 6)
    assert (output.attention[:, 2] > 0).tolist() == [True] * 2 + [False] * 3 + [True]
    assert output.region_attention == {}
    output = network(attention=False)(features, lengths, region_attention=region_attention)
    assert (output.attention, output.region_attention) == (None, {})
    output = cross_modal()(features, lengths, region_attention=region_attention)
    assert output.attention is None and bool(output.region_attention) == region_attention


def test_an_empty_batch_has_outputs_of_length_zero():
    for posts in ([], [1]):
        output = network()(features_of(posts), LENGTHS[posts])
        assert output.potentials.emissions.shape == (0, 5)
        assert output.attention.shape == (0, 3)
        output = cross_modal()(features_of(posts), LENGTHS[posts], region_attention=True)
        assert output.potentials.emissions.shape == (0, 5)
        assert output.region_attention["image"].shape == (0, 2)


def test_the_auxiliary_loss_trains_the_auxiliary_layer_and_the_embedders():
    tagger = cross_modal()
    potentials = tagger(features_of([0, 1, 2, 3]), LENGTHS).potentials
    own = ("fuse.auxiliary_self_attention.", "decode.segmentation_head.")

    def trained_by(losses: torch.Tensor) -> set[str]:
        tagger.zero_grad()
        losses.sum().backward(retain_graph=True)
        return {n for n, p in tagger.named_parameters() if p.grad is not None and p.grad.any()}

    by_auxiliary = trained_by(potentials.segmentation.losses(LENGTHS, GOLD))
    by_crf = trained_by(negative_log_likelihood(potentials, LENGTHS, GOLD))
    assert by_auxiliary | by_crf == {name for name, _ in tagger.named_parameters()}
    assert not any(name.startswith(own) for name in by_crf)
    assert {name.split(".")[0] for name in by_auxiliary if not name.startswith(own)} == {"embed"}


@pytest.mark.parametrize(("segmentation", "n_calls"), [("bio", 1), ("binary", 1), (None, 0)])
def test_auxiliary_vectors_are_only_computed_for_an_auxiliary_head(segmentation, n_calls):
    tagger = cross_modal(segmentation).train()
    calls = []
    tagger.fuse.auxiliary_self_attention.register_forward_hook(lambda *call: calls.append(call))
    potentials = tagger(features_of([0, 1, 2, 3]), LENGTHS).potentials
    assert len(calls) == n_calls
    assert (potentials.segmentation is not None) == bool(n_calls)


def test_parameter_groups_separate_pretrained_weights_and_vectors():
    tagger = network()
    encoder = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    tagger.embed["text"] = TransformerEmbedding(
        encoder=encoder, dim=3, width=WIDTH, dropout=0.0, freeze=False
    )
    tagger.encode.requires_grad_(False)
    groups = {
        (g["is_pretrained"], g["has_weight_decay"]): g["params"] for g in tagger.parameter_groups()
    }
    assert set(groups[True, True]) == {encoder[0].weight}
    assert set(groups[True, False]) == {encoder[0].bias, *encoder[1].parameters()}
    new = {p for p in tagger.parameters() if p.requires_grad} - set(encoder.parameters())
    assert set(groups[False, True]) == {p for p in new if p.ndim > 1}
    assert set(groups[False, False]) == {p for p in new if p.ndim == 1}


def test_a_modality_name_that_torch_reserves_raises_an_error():
    tagger = network()
    with pytest.raises(ValueError, match=r"embed\.type.*Rename"):
        stages = {"fuse": tagger.fuse, "encode": tagger.encode, "decode": tagger.decode}
        TaggerNetwork(embed={"type": tagger.embed["word"]}, **stages)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("build", [network, cross_modal])
def test_gpu_results_equal_cpu_results(build: Callable[[], TaggerNetwork]):
    def results(device: str) -> list[torch.Tensor]:
        tagger = build().to(device)
        features = {
            name: {key: t if key == "lengths" else t.to(device) for key, t in modality.items()}
            for name, modality in features_of([0, 1, 2, 3]).items()
        }
        potentials = tagger(features, LENGTHS).potentials
        losses = negative_log_likelihood(potentials, LENGTHS, GOLD)
        found = [losses, viterbi(potentials, LENGTHS)]
        found.append(span_probabilities(potentials, LENGTHS, torch.tensor([[0, 1, 0]])))
        if potentials.segmentation is not None:
            losses = losses + potentials.segmentation.losses(LENGTHS, GOLD)
        losses.sum().backward()
        return [t.cpu() for t in [*found, *(p.grad for p in tagger.parameters())]]

    for gpu, cpu in zip(results("cuda"), results("cpu"), strict=True):
        assert torch.allclose(gpu, cpu, atol=1e-3)


@pytest.mark.parametrize(
    ("stage", "returned", "message"),
    [
        ("fuse", torch.zeros(6, WIDTH), "model.fuse returned Tensor, expected Fused"),
        ("fuse", Fused(torch.zeros(4, WIDTH), None), r"model.fuse .* \[4, 6\], .* = \[6, 6\]"),
        ("encode", torch.zeros(6, 2), r"model.encode .* \[6, 2\], .* = \[6, 8\]"),
    ],
)
def test_a_stage_that_returns_something_else_is_an_error_that_names_it(stage, returned, message):
    class Wrong(nn.Module):
        width = getattr(network(), stage).width

        def forward(self, *_, **__):
            return returned

    wrong = network()
    setattr(wrong, stage, Wrong())
    with pytest.raises((TypeError, ValueError), match=message):
        wrong(features_of([0, 1, 2, 3]), LENGTHS)
