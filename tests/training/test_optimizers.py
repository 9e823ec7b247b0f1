from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from thinc.api import Config, Optimizer, fix_random_seed, registry
from thinc.util import has_cupy_gpu
from torch import nn

from spacy_mner.layers.embed import TransformerEmbedding
from spacy_mner.layers.network import TaggerNetwork
from spacy_mner.training.optimizers import Adagrad, AdamW

from ..conftest import examples_of, gold_docs

KEY, ENCODER_KEY = (1, "W"), (1, "encoder.layer.0.weight")
BUILDERS = [Adagrad, AdamW]


def gradients(steps: int, shape: tuple[int, ...] = (4, 3)) -> list[np.ndarray]:
    """Of different scales, with one row of zeros."""
    generator = np.random.default_rng(0)
    drawn = [generator.normal(size=shape) * 10.0 ** generator.integers(-3, 2) for _ in range(steps)]
    for gradient in drawn:
        gradient[1] = 0
    return [gradient.astype(np.float32) for gradient in drawn]


class ReferenceAdagrad:
    """The equations in NumPy and float64, for one parameter."""

    def __init__(self, *, L2: float = 0.0, grad_clip: float = 0.0) -> None:
        self.L2, self.grad_clip, self.sums = L2, grad_clip, 0.0

    def step(self, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = clipped(g + self.L2 * w, self.grad_clip)
        self.sums = self.sums + g**2
        return w - 0.02 * g / (np.sqrt(self.sums) + 1e-8)


class ReferenceAdamW:
    def __init__(self, *, rate: float, weight_decay: float, grad_clip: float) -> None:
        self.rate, self.weight_decay, self.grad_clip = rate, weight_decay, grad_clip
        self.mean = self.square = 0.0
        self.n = 0

    def step(self, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        g = clipped(g, self.grad_clip)
        self.n += 1
        self.mean = 0.9 * self.mean + 0.1 * g
        self.square = 0.999 * self.square + 0.001 * g**2
        mean, square = self.mean / (1 - 0.9**self.n), self.square / (1 - 0.999**self.n)
        w = w * (1 - self.rate * self.weight_decay)
        return w - self.rate * mean / (np.sqrt(square) + 1e-8)


def clipped(gradient: np.ndarray, norm: float) -> np.ndarray:
    return gradient / max(np.linalg.norm(gradient) / norm, 1) if norm else gradient


def check_single_parameter(ours: Optimizer, reference: Any, key: Any = KEY) -> None:
    weights = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    expected = weights.astype(np.float64)
    for gradient in gradients(200):
        expected = reference.step(expected, gradient.astype(np.float64))
        updated, zeroed = ours(key, weights, gradient)
        assert updated is weights and zeroed is gradient and not gradient.any()
    np.testing.assert_allclose(weights, expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"L2": 0.01}, {"grad_clip": 1.0}, {"L2": 0.1, "grad_clip": 0.5}]
)
def test_a_single_parameter_follows_the_equations_of_adagrad(settings: dict[str, float]):
    check_single_parameter(Adagrad(**settings), ReferenceAdagrad(**settings))


@pytest.mark.parametrize(("key", "rate"), [(KEY, 0.1), (ENCODER_KEY, 0.02)])
def test_a_single_parameter_follows_the_equations_of_adamw(key: tuple[int, str], rate: float):
    """Parameters of shared transformers have the learning rate of encoders."""
    settings = {"weight_decay": 0.1, "grad_clip": 0.5}
    ours = AdamW(0.1, encoder_learn_rate=0.02, **settings)
    check_single_parameter(ours, ReferenceAdamW(rate=rate, **settings), key)


@pytest.mark.parametrize("build", BUILDERS)
def test_each_key_has_its_own_state_and_any_array_may_hold_its_weights(build):
    def third_step(optimizer: Optimizer, key: tuple[int, str], copy: bool) -> np.ndarray:
        weights = np.ones((4, 3), np.float32)
        for gradient in gradients(3):
            weights = weights.copy() if copy else weights
            optimizer(key, weights, gradient)
        return weights

    shared = build()
    expected = third_step(build(), KEY, False)
    for key in [(1, "W"), (1, "b"), (2, "W")]:
        np.testing.assert_array_equal(third_step(shared, key, True), expected)


@pytest.mark.parametrize("build", BUILDERS)
def test_an_empty_parameter_is_returned_unchanged(build):
    empty = np.zeros((0, 3), np.float32)
    assert build()(KEY, empty, empty)[0] is empty


def test_the_learning_rate_follows_its_schedule_and_lr_scale():
    optimizer, weights = Adagrad([0.5, 0.25]), np.zeros(1, np.float32)
    optimizer(KEY, weights, np.ones(1, np.float32))
    assert weights[0] == pytest.approx(-0.5)
    optimizer.step_schedules()
    optimizer((2, "W"), weights, np.ones(1, np.float32), lr_scale=2.0)
    assert weights[0] == pytest.approx(-1.0)


class Network(nn.Module):
    """A pretrained encoder with a linear layer on top."""

    parameter_groups = TaggerNetwork.parameter_groups

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 3))
        text = TransformerEmbedding(encoder=encoder, dim=3, width=2, dropout=0.0, freeze=False)
        self.embed = nn.ModuleDict({"text": text})
        self.decode = nn.Linear(2, 2)

    def backpropagate(self, inputs: torch.Tensor) -> float:
        text: Any = self.embed["text"]
        loss = self.decode(text.projection(text.encoder(inputs))).square().sum()
        loss.backward()
        return loss.item()


BATCHES = [torch.linspace(-1, 2, 12).roll(i).reshape(4, 3) for i in range(40)]


def train(network: Network, optimizer: Any, batches: list[torch.Tensor]) -> list[float]:
    losses = []
    for batch in batches:
        losses.append(network.backpropagate(batch))
        optimizer.update_network(7, network)
    return losses


def assert_same_parameters(one: nn.Module, other: nn.Module, atol: float = 0.0) -> None:
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


def train_with_references(network: Network, create: Any, clip_as_one: float = 0.0) -> list[float]:
    """Train with the equations in NumPy; `create` returns the reference for a parameter's name."""
    references = {name: create(name) for name, _ in network.named_parameters()}
    losses = []
    for batch in BATCHES:
        losses.append(network.backpropagate(batch))
        if clip_as_one:
            nn.utils.clip_grad_norm_(network.parameters(), clip_as_one)
        for name, parameter in network.named_parameters():
            arrays = (t.double().numpy() for t in (parameter.data, parameter.grad))
            parameter.data = torch.from_numpy(references[name].step(*arrays)).float()
        network.zero_grad()
    return losses


def test_a_network_follows_the_equations_of_adagrad_with_clipping_per_parameter():
    ours, reference = Network(), Network()
    losses = train(ours, Adagrad(L2=0.1, grad_clip=0.5), BATCHES)
    expected = train_with_references(
        reference, lambda name: ReferenceAdagrad(L2=0.1, grad_clip=0.5)
    )
    assert losses == pytest.approx(expected, rel=1e-4)
    assert_same_parameters(ours, reference, atol=1e-5)


def test_a_network_follows_the_equations_of_adamw_with_two_rates_and_clipping_as_a_whole():
    def create(name: str) -> ReferenceAdamW:
        is_vector = name.endswith("bias") or "encoder.1" in name
        return ReferenceAdamW(
            rate=0.01 if "encoder" in name else 0.05,
            weight_decay=0.0 if is_vector else 0.1,
            grad_clip=0.0,
        )

    ours, reference = Network(), Network()
    optimizer = AdamW(0.05, encoder_learn_rate=0.01, weight_decay=0.1, grad_clip=0.5)
    losses = train(ours, optimizer, BATCHES)
    assert losses == pytest.approx(train_with_references(reference, create, 0.5), rel=1e-4)
    assert losses[-1] < losses[0] / 2
    assert_same_parameters(ours, reference, atol=1e-5)


def test_both_learning_rates_of_a_network_follow_schedules_of_the_config():
    schedule = '@schedules = "warmup_linear.v1"\nwarmup_steps = 2\ntotal_steps = 6\n'
    text = '[optimizer]\n@optimizers = "spacy_mner.AdamW.v1"\nweight_decay = 0.0\n'
    for name, rate in (("learn_rate", 0.4), ("encoder_learn_rate", 0.1)):
        text += f"[optimizer.{name}]\ninitial_rate = {rate}\n{schedule}"
    optimizer = registry.resolve(Config().from_str(text))["optimizer"]
    steps = []
    for batch in BATCHES[:6]:
        network = Network()  # the first step of Adam has the size of the learning rate
        biases = [network.decode.bias, network.embed["text"].encoder[2].bias]
        before = [bias.detach().clone() for bias in biases]
        train(network, optimizer, [batch])
        optimizer.step_schedules()
        steps.append([(b - a).abs().max().item() for a, b in zip(before, biases, strict=True)])
    expected = [[0.4 * f, 0.1 * f] for f in (0, 0.5, 1, 0.75, 0.5, 0.25)]
    np.testing.assert_allclose(steps, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("as_network", [False, True])
def test_averages_are_those_of_thinc_and_only_kept_on_request(as_network: bool):
    network, optimizer = Network(), Adagrad(use_averages=True)
    expected = np.zeros((2, 2), np.float32)
    for step, batch in enumerate(BATCHES, 1):
        if as_network:
            train(network, optimizer, [batch])
        else:
            network.backpropagate(batch)
            weight = network.decode.weight
            optimizer((7, "decode.weight"), weight.data.numpy(), weight.grad.numpy())
        decay = min((1 + step) / (10 + step), 0.9999)
        expected += (1 - decay) * (network.decode.weight.detach().numpy() - expected)
    np.testing.assert_allclose(optimizer.averages[7, "decode.weight"], expected, atol=1e-6)
    assert (7, "decode.bias") in optimizer.averages or not as_network
    assert Adagrad().averages is None


@pytest.mark.parametrize("build", BUILDERS)
def test_a_new_network_or_new_parameters_start_without_state(build):
    optimizer, network, expected = build(0.05), Network(), Network()
    train(network, optimizer, BATCHES[:5])
    for module, fresh in zip(network.modules(), Network().modules(), strict=True):
        for name, parameter in fresh.named_parameters(recurse=False):
            setattr(module, name, parameter)
    train(network, optimizer, BATCHES[:5])
    another = Network()
    train(another, optimizer, BATCHES[:5])
    train(expected, build(0.05), BATCHES[:5])
    assert_same_parameters(network, expected)
    assert_same_parameters(another, expected)


def test_an_optimizer_does_not_keep_networks_alive():
    optimizer, network = AdamW(), Network()
    train(network, optimizer, BATCHES[:1])
    assert len(optimizer._by_network) == 1
    del network
    gc.collect()
    assert len(optimizer._by_network) == 0


@pytest.mark.parametrize("build", BUILDERS)
def test_a_frozen_parameter_does_not_change(build):
    network, untrained = Network(), Network()
    encoder = network.embed["text"].encoder.requires_grad_(False)
    train(network, build(), BATCHES[:2])
    assert_same_parameters(encoder, untrained.embed["text"].encoder)
    assert not torch.equal(network.decode.weight, untrained.decode.weight)


@pytest.mark.parametrize("build", BUILDERS)
def test_a_pipeline_trains(untrained, build):
    fix_random_seed(0)
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    optimizer = build(0.05)
    losses = [untrained.update(examples, sgd=optimizer)["multimodal_ner"] for _ in range(15)]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("build", BUILDERS)
def test_a_shared_tok2vec_trains(small_model, build):
    cnn = {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 24}
    cnn |= {"depth": 1, "embed_size": 200, "window_size": 1, "maxout_pieces": 2}
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 24, "upstream": "tok2vec"}
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {**cnn, "subword_features": True}})
    embed = {"char": small_model["embed"]["char"]}
    model = {**small_model, "embed": embed, "tok2vec": listener, "tok2vec_width": 16}
    nlp.add_pipe("multimodal_ner", config={"model": model})
    examples = examples_of(gold_docs(nlp))
    nlp.initialize(lambda: examples)
    node = next(n for n in nlp.get_pipe("tok2vec").model.walk() if n.has_param("W"))
    before = node.get_param("W").copy()
    optimizer = build(0.01)
    for _ in range(2):  # the first gradient of a tok2vec is zero
        nlp.update(examples, sgd=optimizer)
    assert not np.array_equal(node.get_param("W"), before)


@pytest.mark.gpu
@pytest.mark.skipif(not has_cupy_gpu, reason="needs CuPy and a CUDA device")
@pytest.mark.parametrize("build", BUILDERS)
def test_cupy_arrays_get_the_results_of_numpy_arrays(build):
    import cupy

    ours, theirs = cupy.ones((4, 3), "float32"), np.ones((4, 3), np.float32)
    on_gpu, on_cpu = build(grad_clip=1.0), build(grad_clip=1.0)
    for gradient in gradients(20):
        on_gpu(KEY, ours, cupy.asarray(gradient))
        on_cpu(KEY, theirs, gradient)
    np.testing.assert_allclose(ours.get(), theirs, atol=1e-5)
