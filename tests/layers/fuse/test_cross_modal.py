from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spacy_mner.layers.fuse import CrossModal
from spacy_mner.layers.types import Fused, RegionVectors
from spacy_mner.models.architectures import build_cross_modal

from . import equations
from .random_batches import (
    HEADS,
    NEAR_WIDTH,
    SETTINGS,
    WIDTH,
    WIDTHS,
    Batch,
    Post,
    batch_of,
    cross_modal,
    vectors_of,
)

ROLES = {"grid": "image", "objects": "objects"}
GATED = {"augmentation_gate": True}
NEAR = {"widths": {**WIDTHS, "near": NEAR_WIDTH}, "augmentation": "near"}
PATH_1 = {"region_projection", "region_self_attention", "text_to_region"}
PATH_2 = {f"{name}_2" for name in PATH_1} | {"region_to_text", "gate"}
GRID = {f"cross_attention.grid.{name}" for name in PATH_1 | PATH_2}
# Objects have the width of the text and therefore no projection.
OBJECTS = {name.replace("grid", "objects") for name in GRID if "projection" not in name}
ALL = {"text_self_attention", "auxiliary_self_attention", "image_projection", "output_projection"}
ALL |= GRID | OBJECTS
TEXT_PROJECTIONS = "text_sum.projections"
# Settings, and the submodules with parameters that they remove from the network or add to it.
ABLATIONS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"grid_gate": False}, {"cross_attention.grid.gate"}),
    ({"objects_gate": False}, {"cross_attention.objects.gate"}),
    ({"region_first": False}, {name for name in ALL if name.rpartition(".")[2] in PATH_2}),
    # An unused grid counts as text until it is embedded, so it has a projection.
    ({"grid": None}, GRID | {TEXT_PROJECTIONS}),
    ({"objects": None}, OBJECTS),
    ({"grid": None, "objects": None}, GRID | OBJECTS | {"image_projection", TEXT_PROJECTIONS}),
    ({"auxiliary": False}, {"auxiliary_self_attention"}),
    ({"augmentation": "nowhere"}, set()),
    (NEAR, {TEXT_PROJECTIONS}),
    ({**NEAR, **GATED}, {TEXT_PROJECTIONS, "text_sum.gate"}),
]
ABLATION_SETTINGS = [settings for settings, _ in ABLATIONS]
MIXED = batch_of((3, 2, 1), (0, 3, 0), (2, 0, 2), (4, 1, 0), (1, 0, 0))
SIZES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3)), max_size=5)


def fuse(network: CrossModal, batch: Batch, *, region_attention: bool = False) -> Fused:
    return network(batch.embedded, batch.lengths, region_attention=region_attention)


def text_of(
    network: CrossModal, weights: equations.Weights, post: Post, word: np.ndarray, near: np.ndarray
) -> np.ndarray:
    """S of a post by the equations."""
    if "near" not in network.text_sum.names:
        return word
    own = equations.below(weights, "text_sum")
    gated = network.text_sum.gated is not None
    return equations.text_sum(own, word, near, post.has_near.numpy(), gated=gated)


def check_equations(network: CrossModal, batch: Batch) -> None:
    fused = fuse(network, batch, region_attention=True)
    weights = equations.weights_of(network)
    for i, post in enumerate(batch.posts):
        if not post.n_tokens:
            continue
        tokens, roles = batch.tokens(i), network.region_modalities
        text = text_of(network, weights, post, post.word.numpy(), post.near.numpy())
        regions = {role: post.regions[name].numpy() for role, name in roles.items()}
        expected, auxiliary, maps = equations.cross_modal(weights, HEADS, text, regions)
        np.testing.assert_allclose(fused.vectors[tokens].detach(), expected, atol=1e-10)
        assert (fused.auxiliary is None) == (auxiliary is None)
        if auxiliary is not None:
            np.testing.assert_allclose(fused.auxiliary[tokens].detach(), auxiliary, atol=1e-10)
        for role, attention in maps.items():
            found = fused.region_attention[roles[role]][tokens].detach().numpy()
            indices = batch.indices(roles[role], i)
            np.testing.assert_allclose(found[:, indices], attention, atol=1e-10)
            assert not np.delete(found, indices, axis=1).any()


@pytest.mark.parametrize(("ablation", "difference"), ABLATIONS, ids=map(str, ABLATION_SETTINGS))
def test_each_setting_adds_or_removes_exactly_its_submodules(ablation, difference):
    depth = {"cross_attention": 3, "text_sum": 2}
    names = [name.split(".") for name, _ in cross_modal(**ablation).named_parameters()]
    assert {".".join(name[: depth.get(name[0], 1)]) for name in names} == ALL ^ difference


@pytest.mark.parametrize("ablation", ABLATION_SETTINGS, ids=str)
def test_outputs_equal_the_published_equations(ablation: dict[str, Any]):
    check_equations(cross_modal(**ablation), MIXED)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(SIZES)
def test_outputs_equal_the_equations_in_any_batch(sizes: list[tuple[int, int, int]]):
    check_equations(cross_modal(), batch_of(*sizes))


UPSTREAM = torch.linspace(-1, 1, 10 * WIDTH, dtype=torch.float64).view(10, WIDTH)


def loss_by_equations(network: CrossModal, tensors: dict[str, np.ndarray]) -> float:
    """The loss of MIXED for other parameters and embedded vectors."""
    total = 0.0
    for i, post in enumerate(MIXED.posts):
        tokens = MIXED.tokens(i)
        if tokens.stop > tokens.start:
            z, auxiliary, _ = equations.cross_modal(
                tensors,
                HEADS,
                text_of(network, tensors, post, tensors["word"][tokens], tensors["near"][tokens]),
                {
                    role: tensors[name][i, MIXED.indices(name, i)]
                    for role, name in network.region_modalities.items()
                },
            )
            total += (combined(z, auxiliary) * UPSTREAM[tokens].numpy()).sum()
    return total


def combined(vectors: Any, auxiliary: Any) -> Any:
    return vectors if auxiliary is None else vectors + 2 * auxiliary


@pytest.mark.parametrize("ablation", ABLATION_SETTINGS, ids=str)
def test_gradients_equal_finite_differences_of_the_equations(ablation: dict[str, Any]):
    """Along random directions in the space of all parameters and inputs."""
    network, batch = cross_modal(**ablation), MIXED.as_leaves()
    fused = fuse(network, batch)
    (combined(fused.vectors, fused.auxiliary) * UPSTREAM).sum().backward()
    leaves = dict(network.named_parameters())
    leaves |= {name: vectors_of(modality) for name, modality in batch.embedded.items()}
    gradients = {name: leaf.grad.numpy() for name, leaf in leaves.items() if leaf.grad is not None}
    random = np.random.default_rng(0)
    for _ in range(4):
        steps = {name: random.normal(size=leaf.shape) for name, leaf in leaves.items()}
        slope = sum((gradient * steps[name]).sum() for name, gradient in gradients.items())
        above, below = (
            loss_by_equations(
                network,
                {name: leaf.detach().numpy() + eps * steps[name] for name, leaf in leaves.items()},
            )
            for eps in (1e-6, -1e-6)
        )
        assert slope == pytest.approx((above - below) / 2e-6, rel=1e-6, abs=1e-6)


class Zeros(nn.Module):
    """Cross-attention with the output of a post without regions."""

    def forward(self, text: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        return torch.zeros_like(text), None


@pytest.mark.parametrize(("role", "post"), [("grid", 2), ("objects", 3)])
def test_cross_attention_is_zero_in_a_post_without_regions(role: str, post: int):
    network = cross_modal()
    before = fuse(network, MIXED).vectors
    network.cross_attention[role] = Zeros()
    after = fuse(network, MIXED).vectors
    assert torch.equal(before[MIXED.tokens(post)], after[MIXED.tokens(post)])
    assert not torch.allclose(before[MIXED.tokens(0)], after[MIXED.tokens(0)])


def test_a_batch_without_images_has_finite_outputs_and_gradients():
    text_only = batch_of((3, 0, 0), (1, 0, 0))
    network = cross_modal()
    fused = fuse(network, text_only, region_attention=True)
    assert fused.region_attention["image"].shape == (4, 0)
    padded = dict(text_only.embedded)
    for name in ROLES.values():
        unavailable = torch.zeros(2, 3, dtype=torch.bool)
        noise = torch.randn(2, 3, WIDTHS[name], dtype=torch.float64)
        padded[name] = RegionVectors(noise, unavailable)
    masked = network(padded, text_only.lengths, region_attention=True)
    assert torch.equal(masked.vectors, fused.vectors)
    assert torch.equal(masked.region_attention["image"], torch.zeros(4, 3, dtype=torch.float64))
    (fused.vectors.sum() + masked.vectors.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("sizes", [[], [(0, 2, 1)], [(0, 0, 0), (0, 3, 0)]])
def test_a_batch_without_tokens_has_outputs_of_length_zero(sizes: list[tuple[int, int, int]]):
    fused = fuse(cross_modal(), batch_of(*sizes), region_attention=True)
    assert fused.vectors.shape == fused.auxiliary.shape == (0, WIDTH)
    assert fused.region_attention["objects"].shape[0] == 0
    fused.vectors.sum().backward()


@pytest.mark.parametrize("missing", [["image"], ["objects"], ["image", "objects"]])
def test_a_missing_modality_is_equivalent_to_its_role_set_to_null(missing: list[str]):
    kept = {name: width for name, width in WIDTHS.items() if name not in missing}
    network = cross_modal(widths=kept)
    assert network.output_projection.in_features == (WIDTH if len(missing) == 2 else 2 * WIDTH)
    explicit = cross_modal(**{role: None for role, name in ROLES.items() if name in missing})
    explicit.load_state_dict(network.state_dict(), strict=False)
    fused = network({name: MIXED.embedded[name] for name in kept}, MIXED.lengths)
    assert torch.allclose(fused.vectors, fuse(explicit, MIXED).vectors)


def test_region_attention_is_returned_on_request_and_does_not_change_the_output():
    network = cross_modal().eval()
    with torch.inference_mode():
        plain, explained = fuse(network, MIXED), fuse(network, MIXED, region_attention=True)
    assert (plain.region_attention, plain.attention, plain.auxiliary) == ({}, None, None)
    assert torch.allclose(plain.vectors, explained.vectors, atol=1e-12)
    assert list(explained.region_attention) == ["image", "objects"]
    has_image = torch.tensor([True] * 3 + [False] * 2 + [True] * 4 + [False])
    assert torch.allclose(explained.region_attention["image"].sum(1), has_image.double())


def test_dropout_applies_in_training_only():
    network = cross_modal(dropout=0.5)
    assert not torch.allclose(fuse(network, MIXED).vectors, fuse(network, MIXED).vectors)
    network.eval()
    assert torch.equal(fuse(network, MIXED).vectors, fuse(network, MIXED).vectors)


def test_autocast_stays_close_to_float32():
    network = cross_modal().float().eval()
    batch = MIXED.to(torch.float32)
    exact = fuse(network, batch).vectors
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = fuse(network, batch).vectors
    assert torch.allclose(half.float(), exact, atol=0.05 * exact.abs().max().item())


@pytest.mark.parametrize(
    ("invalid", "match"),
    [
        ({"objects": "image"}, "'image'"),
        ({"heads": 4}, "heads = 4"),
        ({**GATED, "augmentation": "nowhere"}, r"'nowhere'.*\('word'\)"),
        ({**GATED, "augmentation": "image"}, r"'image'.*\('word'\)"),
        (GATED, "None is not a text modality"),
    ],
)
def test_invalid_settings_raise_an_error_when_the_network_is_built(invalid, match):
    with pytest.raises(ValueError, match=match):
        cross_modal(**invalid)


@pytest.mark.parametrize(
    ("invalid", "match"),
    [
        ({"grid": "word"}, "grid = 'word'"),
        ({"grid": "imgae"}, r"\['image'\].*grid = 'imgae', objects = 'objects'"),
        ({"grid": "imgae", "objects": None}, r"\['image', 'objects'\].*'imgae', objects = None"),
        ({"widths": {**WIDTHS, "scene": 5}}, r"\['scene'\].*null in model\.embed"),
        ({"widths": {"image": 5, "objects": WIDTH}}, r"only modalities with regions"),
        (
            {"grid": None, "augmentation": "image", "augmentation_gate": True},
            r"'image'.*\['word'\]",
        ),
        ({**GATED, "augmentation": "word"}, r"'word'.*at least two.*\['word'\]"),
    ],
)
def test_modalities_of_the_wrong_kind_raise_an_error_when_they_are_embedded(invalid, match):
    network = cross_modal(**invalid)
    modalities = {**MIXED.embedded, "scene": MIXED.embedded["image"]}
    names = invalid.get("widths", WIDTHS)
    with pytest.raises(ValueError, match=match):
        network({name: modalities[name] for name in names}, MIXED.lengths)


def test_the_builder_passes_the_config_and_the_widths_of_the_modalities():
    stage = build_cross_modal(objects=None)
    fuser = stage.build(widths={"transformer": 384, "image": 150})
    assert (stage.stage, stage.name) == ("fuse", "spacy_mner.CrossModal.v1")
    assert isinstance(fuser, CrossModal)
    assert (fuser.width, fuser.auxiliary_width) == (384, 384)
    assert fuser.region_modalities == {"grid": "image"}
    layer = fuser.text_self_attention
    assert (layer.attention.num_heads, layer.feedforward[0].out_features) == (12, 1536)
    assert set(SETTINGS) - {"widths"} == set(stage.build.keywords)
