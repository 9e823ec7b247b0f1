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

from . import reference
from .cross_modal import (
    HEADS,
    NEAR_WIDTH,
    SETTINGS,
    WIDTH,
    WIDTHS,
    Batch,
    Post,
    batch_of,
    cross_modal,
    of_modality,
)

PARTS = {"grid": "image", "objects": "objects"}
NEAR = {"widths": {**WIDTHS, "near": NEAR_WIDTH}, "augmentation": "near"}
FIRST = {"project_first", "read_first", "answer", "ask_answered", "gate"}
GRID = {f"look.grid.{part}" for part in {"project", "read", "ask", *FIRST}}
# Objects have the width of the text, and are taken as they are.
OBJECTS = {part.replace("grid", "objects") for part in GRID if "project" not in part}
WHOLE = {"read", "read_auxiliary", "join", "finish"} | GRID | OBJECTS
WITH_FIRST = WHOLE & {f"look.{part}.{name}" for part in PARTS for name in FIRST}
# Settings, and the parts with parameters that they take from the whole network or add to it.
SETTINGS_AND_PARTS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"grid_gate": False}, {"look.grid.gate"}),
    ({"objects_gate": False}, {"look.objects.gate"}),
    ({"grid_gate": False, "objects_gate": False}, {"look.grid.gate", "look.objects.gate"}),
    ({"region_first": False}, WITH_FIRST),
    # Widths do not tell a grid that nobody asks from text: it gets a projection, which nobody uses.
    ({"grid": None}, GRID | {"read_text.project"}),
    ({"objects": None}, OBJECTS),
    ({"grid": None, "objects": None}, GRID | OBJECTS | {"join", "read_text.project"}),
    ({"auxiliary": False}, {"read_auxiliary"}),
    (NEAR, {"read_text.project"}),
    ({**NEAR, "augmentation_gate": True}, {"read_text.project", "read_text.gate"}),
]
ABLATIONS = [settings for settings, _ in SETTINGS_AND_PARTS]
MIXED = batch_of((3, 2, 1), (0, 3, 0), (2, 0, 2), (4, 1, 0), (1, 0, 0))
POSTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3)), max_size=5)


def ask(network: CrossModal, batch: Batch, *, region_attention: bool = False) -> Fused:
    return network(batch.embedded, batch.lengths, region_attention=region_attention)


def text_of(
    network: CrossModal, weights: reference.Weights, post: Post, word: np.ndarray, near: np.ndarray
) -> np.ndarray:
    """S of a post, by the equations."""
    if "near" not in network.read_text.names:
        return word
    own = reference.below(weights, "read_text")
    is_gated = network.read_text.gated is not None
    return reference.text_sum(own, word, near, post.has_near.numpy(), gated=is_gated)


def check_against_the_equations(network: CrossModal, batch: Batch) -> None:
    fused = ask(network, batch, region_attention=True)
    weights = reference.weights_of(network)
    for i, post in enumerate(batch.posts):
        memories = {
            part: post.memories[PARTS[part]].numpy() for part in PARTS if part in network.memories
        }
        tokens = batch.tokens(i)
        if not post.n_tokens:
            continue
        text = text_of(network, weights, post, post.text.numpy(), post.near.numpy())
        expected, auxiliary, maps = reference.cross_modal(weights, HEADS, text, memories)
        np.testing.assert_allclose(fused.vectors[tokens].detach(), expected, atol=1e-10)
        assert (fused.auxiliary is None) == (auxiliary is None)
        if auxiliary is not None:
            np.testing.assert_allclose(fused.auxiliary[tokens].detach(), auxiliary, atol=1e-10)
        for part, attention in maps.items():
            name = PARTS[part]
            told = fused.region_attention[name][tokens].detach().numpy()
            places = batch.places(name, i)
            np.testing.assert_allclose(told[:, places], attention, atol=1e-10)
            assert not np.delete(told, places, axis=1).any()


def parts_of(network: CrossModal) -> set[str]:
    """The parts that have parameters."""
    depth = {"look": 3, "read_text": 2}
    names = (name.split(".") for name, _ in network.named_parameters())
    return {".".join(name[: depth.get(name[0], 1)]) for name in names}


@pytest.mark.parametrize(("ablation", "parts"), SETTINGS_AND_PARTS, ids=map(str, ABLATIONS))
def test_each_setting_builds_exactly_the_parts_that_it_should(ablation, parts):
    """The reference knows an ablation by the parts that are there."""
    assert parts_of(cross_modal(**ablation)) == WHOLE ^ parts


@pytest.mark.parametrize("ablation", ABLATIONS, ids=str)
def test_it_is_the_block_diagram_of_the_paper(ablation: dict[str, Any]):
    check_against_the_equations(cross_modal(**ablation), MIXED)


@settings(max_examples=40, deadline=None)
@given(POSTS)
def test_every_post_is_as_the_equations_say_whatever_its_batch(sizes: list[tuple[int, int, int]]):
    check_against_the_equations(cross_modal(), batch_of(*sizes))


@settings(max_examples=25, deadline=None)
@given(POSTS, st.randoms(use_true_random=False))
def test_a_post_does_not_depend_on_its_batch_or_order_in_single_precision(sizes, random):
    network = cross_modal().float().eval()
    posts = [Post(number, *size) for number, size in enumerate(sizes)]
    random.shuffle(posts)

    def answer(*posts: Post) -> Tensor:
        with torch.inference_mode():
            return ask(network, Batch(posts).to(torch.float32)).vectors

    together = answer(*posts)
    alone = [answer(post) for post in posts]
    assert torch.allclose(together, torch.cat([torch.zeros(0, WIDTH), *alone]), atol=1e-4)


UPSTREAM = torch.linspace(-1, 1, 10 * WIDTH, dtype=torch.float64).view(10, WIDTH)


def loss_by_the_equations(network: CrossModal, tensors: dict[str, np.ndarray]) -> float:
    """Of the posts of MIXED, with other weights and other embedded vectors than they have."""
    total = 0.0
    for i, post in enumerate(MIXED.posts):
        tokens, memories = MIXED.tokens(i), network.memories.items()
        if tokens.stop > tokens.start:
            z, auxiliary, _ = reference.cross_modal(
                tensors,
                HEADS,
                text_of(network, tensors, post, tensors["word"][tokens], tensors["near"][tokens]),
                {part: tensors[name][i, MIXED.places(name, i)] for part, name in memories},
            )
            total += (both(z, auxiliary) * UPSTREAM[tokens].numpy()).sum()
    return total


def both(vectors: Any, auxiliary: Any) -> Any:
    """Two results in one, where there are two."""
    return vectors if auxiliary is None else vectors + 2 * auxiliary


@pytest.mark.parametrize("ablation", ABLATIONS, ids=str)
def test_the_gradient_is_that_of_finite_differences_of_the_equations(ablation: dict[str, Any]):
    """Along random directions in the space of all weights and all that goes in."""
    network, batch = cross_modal(**ablation), MIXED.as_leaves()
    fused = ask(network, batch)
    (both(fused.vectors, fused.auxiliary) * UPSTREAM).sum().backward()
    leaves = dict(network.named_parameters())
    leaves |= {name: of_modality(modality) for name, modality in batch.embedded.items()}
    gradients = {name: leaf.grad.numpy() for name, leaf in leaves.items() if leaf.grad is not None}
    random = np.random.default_rng(0)
    for _ in range(4):
        steps = {name: random.normal(size=leaf.shape) for name, leaf in leaves.items()}
        slope = sum((gradient * steps[name]).sum() for name, gradient in gradients.items())
        ahead, behind = (
            loss_by_the_equations(
                network,
                {name: leaf.detach().numpy() + eps * steps[name] for name, leaf in leaves.items()},
            )
            for eps in (1e-6, -1e-6)
        )
        assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-6, abs=1e-6)


def test_no_gradient_reaches_what_is_not_available():
    batch = MIXED.as_leaves()
    ask(cross_modal(), batch).vectors.sum().backward()
    for name in PARTS.values():
        memory = batch.embedded[name]
        touched = memory.regions.grad.abs().sum(dim=2) > 0
        has_tokens = (MIXED.lengths > 0).unsqueeze(1)
        assert torch.equal(touched, memory.available & has_tokens)


class Silent(nn.Module):
    """In the place of a granularity: has nothing to say to anybody."""

    def forward(self, text: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        return torch.zeros_like(text), None


@pytest.mark.parametrize("part, post", [("grid", 2), ("objects", 3)])
def test_a_post_without_regions_gets_what_a_silent_granularity_would_give(part: str, post: int):
    network = cross_modal()
    tokens = MIXED.tokens(post)
    before = ask(network, MIXED).vectors
    network.look[part] = Silent()
    after = ask(network, MIXED).vectors
    assert torch.equal(before[tokens], after[tokens])
    assert not torch.allclose(before[MIXED.tokens(0)], after[MIXED.tokens(0)])


def test_a_batch_without_any_image_is_answered_and_learnt_from():
    blind = batch_of((3, 0, 0), (1, 0, 0))
    network = cross_modal()
    fused = ask(network, blind, region_attention=True)
    assert fused.region_attention["image"].shape == (4, 0)
    fused.vectors.sum().backward()
    assert network.finish.weight.grad.isfinite().all()
    masked = dict(blind.embedded)
    for name, width in (("image", 5), ("objects", WIDTH)):
        nothing = torch.zeros(2, 3, dtype=torch.bool)
        masked[name] = RegionVectors(torch.randn(2, 3, width, dtype=torch.float64), nothing)
    told = network(masked, blind.lengths, region_attention=True)
    assert torch.equal(told.vectors, fused.vectors)
    assert torch.equal(told.region_attention["image"], torch.zeros(4, 3, dtype=torch.float64))
    told.vectors.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("sizes", [[], [(0, 2, 1)], [(0, 0, 0), (0, 3, 0)]])
def test_a_batch_without_posts_or_tokens_is_answered(sizes: list[tuple[int, int, int]]):
    fused = ask(cross_modal(), batch_of(*sizes), region_attention=True)
    assert fused.vectors.shape == fused.auxiliary.shape == (0, WIDTH)
    assert fused.region_attention["objects"].shape[0] == 0
    fused.vectors.sum().backward()


@pytest.mark.parametrize("missing", [["image"], ["objects"], ["image", "objects"]])
def test_a_modality_that_the_config_drops_takes_its_granularity_with_it(missing: list[str]):
    kept = {name: width for name, width in WIDTHS.items() if name not in missing}
    network = cross_modal(widths=kept)
    assert network.finish.in_features == (WIDTH if len(missing) == 2 else 2 * WIDTH)
    embedded = {name: MIXED.embedded[name] for name in kept}
    explicit = cross_modal(**{part: None for part, name in PARTS.items() if name in missing})
    explicit.load_state_dict(network.state_dict(), strict=False)
    fused = network(embedded, MIXED.lengths)
    assert torch.allclose(fused.vectors, ask(explicit, MIXED).vectors)


def test_attention_is_told_on_request_alone_and_asking_changes_nothing():
    network = cross_modal().eval()
    with torch.inference_mode():
        plain, told = ask(network, MIXED), ask(network, MIXED, region_attention=True)
    assert plain.region_attention is None and plain.attention is None
    assert torch.allclose(plain.vectors, told.vectors, atol=1e-12)
    assert list(told.region_attention) == ["image", "objects"]
    sees = torch.tensor([True] * 3 + [False] * 2 + [True] * 4 + [False])
    assert torch.allclose(told.region_attention["image"].sum(1), sees.double())


def test_the_auxiliary_vectors_are_made_in_training_alone_and_only_where_wanted():
    network = cross_modal()
    assert (network.auxiliary_width, ask(network, MIXED).auxiliary.shape) == (WIDTH, (10, WIDTH))
    assert ask(network.eval(), MIXED).auxiliary is None
    without = cross_modal(auxiliary=False)
    assert without.auxiliary_width is None and ask(without, MIXED).auxiliary is None


def test_every_parameter_learns():
    network = cross_modal(
        widths={**WIDTHS, "char": 4, "near": 3}, augmentation="near", augmentation_gate=True
    )
    text = MIXED.embedded["word"]
    embedded = {
        **MIXED.embedded,
        "char": type(text)(text.vectors[:, :4], text.available),
        "near": type(text)(text.vectors[:, 3:], text.available),
    }
    fused = network(embedded, MIXED.lengths)
    (fused.vectors.square().sum() + fused.auxiliary.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_dropout_is_for_training():
    network = cross_modal(dropout=0.5)
    assert not torch.allclose(ask(network, MIXED).vectors, ask(network, MIXED).vectors)
    network.eval()
    assert torch.equal(ask(network, MIXED).vectors, ask(network, MIXED).vectors)


def test_half_precision_is_close():
    network = cross_modal().float().eval()
    batch = MIXED.to(torch.float32)
    exact = ask(network, batch).vectors
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = ask(network, batch).vectors
    assert torch.allclose(half.float(), exact, atol=0.05 * exact.abs().max().item())


def test_regions_that_nobody_asks_are_refused_unless_a_granularity_is_off():
    with pytest.raises(ValueError, match=r"\['image'\].*grid = 'imgae', objects = 'objects'"):
        ask(cross_modal(grid="imgae"), MIXED)
    with pytest.raises(ValueError, match=r"\['image', 'objects'\].*'imgae', objects = None"):
        ask(cross_modal(grid="imgae", objects=None), MIXED)
    ask(cross_modal(grid=None), MIXED)
    embedded = {**MIXED.embedded, "scene": MIXED.embedded["image"]}
    with pytest.raises(ValueError, match=r"\['scene'\].*null in \[model\.embed\]"):
        cross_modal(widths={**WIDTHS, "scene": 5})(embedded, MIXED.lengths)


def test_what_cannot_be_asked_or_cannot_ask_is_refused():
    with pytest.raises(ValueError, match=r"'word' as its grid.*a vector per token"):
        ask(cross_modal(grid="word"), MIXED)
    with pytest.raises(ValueError, match=r"only \['image', 'objects'\]"):
        regions = {name: MIXED.embedded[name] for name in ("image", "objects")}
        cross_modal(widths={"image": 5, "objects": WIDTH})(regions, MIXED.lengths)
    with pytest.raises(ValueError, match="not 'image' twice"):
        cross_modal(objects="image")
    with pytest.raises(ValueError, match="4 heads cannot share 6"):
        cross_modal(heads=4)


@pytest.mark.parametrize(
    ("augmentation", "reason"),
    [
        ("nowhere", r"gate for the modality 'nowhere', which is not one of the text \('word'\)"),
        ("image", "gate for the modality 'image', which is not one of the text"),
        (None, "augmentation = null names nothing to gate"),
    ],
)
def test_a_gate_for_what_is_no_text_is_refused_where_it_is_asked_for(augmentation, reason):
    with pytest.raises(ValueError, match=reason):
        cross_modal(augmentation=augmentation, augmentation_gate=True)
    ask(cross_modal(augmentation=augmentation), MIXED)


def test_a_gate_for_regions_that_nobody_asks_is_refused():
    with pytest.raises(ValueError, match=r"'image' as its augmentation.*holds regions"):
        ask(cross_modal(grid=None, augmentation="image", augmentation_gate=True), MIXED)


def test_a_gate_with_nothing_to_weigh_against_is_refused():
    with pytest.raises(ValueError, match=r"weighs 'word' against the rest.*there is no rest"):
        ask(cross_modal(augmentation="word", augmentation_gate=True), MIXED)


def test_the_config_builds_it_for_the_widths_of_the_modalities():
    stage = build_cross_modal(objects=None)
    fuser = stage.build(widths={"transformer": 384, "image": 150})
    assert stage.name == "fuse"
    assert isinstance(fuser, CrossModal)
    assert (fuser.width, fuser.auxiliary_width, fuser.memories) == (384, 384, {"grid": "image"})
    assert (fuser.read.attend.num_heads, fuser.read.think[0].out_features) == (12, 1536)
    assert set(SETTINGS) - {"widths"} == set(stage.build.keywords)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_computes_what_the_cpu_computes():
    def answers(device: str) -> list[Tensor]:
        network = cross_modal().to(device)
        fused = ask(network, MIXED.to(device), region_attention=True)
        (fused.vectors.sum() + fused.auxiliary.square().sum()).backward()
        found = [fused.vectors, fused.auxiliary, *fused.region_attention.values()]
        return [t.detach().cpu() for t in [*found, *(p.grad for p in network.parameters())]]

    for ours, theirs in zip(answers("cuda"), answers("cpu"), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)
