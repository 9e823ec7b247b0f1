from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from thinc.api import Adam, Config, fix_random_seed, registry, warmup_linear
from thinc.util import has_cupy_gpu
from torch import nn

from spacy_mner.layers.embed import TransformerEmbedding
from spacy_mner.training.optimizers import build_adagrad, build_adamw

from ..conftest import examples_of, gold_docs

KEY = (1, "W")


def gradients(steps: int, shape: tuple[int, ...] = (4, 3)) -> list[np.ndarray]:
    """Of very different sizes, and zero where a row is never met."""
    generator = np.random.default_rng(0)
    drawn = [generator.normal(size=shape) * 10.0 ** generator.integers(-3, 2) for _ in range(steps)]
    for gradient in drawn:
        gradient[1] = 0
    return [gradient.astype(np.float32) for gradient in drawn]


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_the_weights_go_where_torch_takes_them(weight_decay: float):
    weights = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    theirs = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    reference = torch.optim.Adagrad([theirs], lr=0.02, eps=1e-8, weight_decay=weight_decay)
    optimizer = build_adagrad(L2=weight_decay)
    for gradient in gradients(200):
        theirs.grad = torch.from_numpy(gradient.copy())
        reference.step()
        optimizer(KEY, weights, gradient.copy())
    np.testing.assert_allclose(weights, theirs.detach().numpy(), atol=1e-5)


def test_it_works_in_place_and_clears_the_gradient():
    weights, gradient = np.ones((4, 3), np.float32), gradients(1)[0]
    updated, cleared = build_adagrad()(KEY, weights, gradient)
    assert updated is weights
    assert cleared is gradient
    assert not gradient.any()
    assert (weights[1] == 1).all()
    assert (weights[[0, 2, 3]] != 1).all()


def test_each_parameter_has_sums_of_its_own():
    optimizer = build_adagrad()
    for key in [(1, "W"), (1, "b"), (2, "W")]:
        weights = np.zeros(2, np.float32)
        optimizer(key, weights, np.asarray([3.0, -5.0], np.float32))
        # The first step of any parameter is the learning rate, whatever the gradient.
        np.testing.assert_allclose(weights, [-0.02, 0.02], rtol=1e-5)


def test_a_large_gradient_is_cut_to_the_norm_asked_for():
    clipped, plain = build_adagrad(grad_clip=1.0), build_adagrad()
    ours, theirs = np.zeros(2, np.float32), np.zeros(2, np.float32)
    for gradient in ([30.0, 40.0], [0.3, 0.4]):
        cut = np.asarray(gradient) / max(np.linalg.norm(gradient), 1)
        clipped(KEY, ours, np.asarray(gradient, np.float32))
        plain(KEY, theirs, cut.astype(np.float32))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_averages_are_kept_only_where_asked_for():
    weights = np.zeros(2, np.float32)
    optimizer = build_adagrad(use_averages=True)
    for _ in range(500):
        optimizer(KEY, weights, np.ones(2, np.float32))
    assert (optimizer.averages[KEY] < 0).all()
    assert (optimizer.averages[KEY] > weights).all()
    assert build_adagrad().averages is None


def test_the_learning_rate_follows_a_schedule_and_a_scale():
    optimizer, weights = build_adagrad([0.5, 0.25]), np.zeros(1, np.float32)
    optimizer(KEY, weights, np.ones(1, np.float32))
    assert weights[0] == pytest.approx(-0.5)
    optimizer.step_schedules()
    optimizer((2, "W"), weights, np.ones(1, np.float32), lr_scale=2.0)
    assert weights[0] == pytest.approx(-1.0)


def test_an_empty_parameter_is_left_alone():
    empty = np.zeros((0, 3), np.float32)
    assert build_adagrad()(KEY, empty, empty)[0] is empty


def test_a_config_resolves_it_without_an_import_of_ours():
    code = """
from thinc.api import Config, registry
config = '[optimizer]\\n@optimizers = "spacy_mner.Adagrad.v1"\\nL2 = 0.5'
optimizer = registry.resolve(Config().from_str(config))["optimizer"]
print(type(optimizer).__name__, optimizer.learn_rate, optimizer.eps, optimizer.L2)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["Adagrad", "0.02", "1e-08", "0.5"]


def test_a_pipeline_trains_with_it(untrained):
    fix_random_seed(0)
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    optimizer, losses = build_adagrad(0.05), []
    for _ in range(15):
        losses.append(untrained.update(examples, sgd=optimizer)["multimodal_ner"])
    assert losses[-1] < losses[0] / 2


def small_network(width: int = 3) -> nn.Module:
    """A pretrained encoder with a layer on top, as the optimizer knows them apart."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(3, width), nn.LayerNorm(width), nn.Linear(width, width))
    embed = TransformerEmbedding(encoder=encoder, dim=width, width=2, dropout=0.0, freeze=False)
    return nn.ModuleDict({"embed": embed, "decode": nn.Linear(2, 2)})


def backpropagate(network: nn.Module, inputs: torch.Tensor) -> float:
    embed = network["embed"]
    loss = network["decode"](embed.projection(embed.encoder(inputs))).square().sum()
    loss.backward()
    return loss.item()


BATCHES = [torch.linspace(-1, 2, 12).roll(i).reshape(4, 3) for i in range(40)]


def in_plain_torch(network: nn.Module, learn_rate: float, encoder_learn_rate: float) -> list[float]:
    """The losses of a loop that is written by hand."""
    encoder = set(network["embed"].encoder.parameters())
    groups = [
        {
            "params": [parameter],
            "lr": encoder_learn_rate if parameter in encoder else learn_rate,
            "weight_decay": 0.0 if name.endswith("bias") or "encoder.1" in name else 0.1,
        }
        for name, parameter in network.named_parameters()
    ]
    optimizer, losses = torch.optim.AdamW(groups), []
    for batch in BATCHES:
        losses.append(backpropagate(network, batch))
        nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    return losses


def test_a_network_learns_as_with_adamw_of_torch():
    ours, theirs = small_network(), small_network()
    optimizer = build_adamw(0.05, encoder_learn_rate=0.01, weight_decay=0.1, grad_clip=0.5)
    losses = []
    for batch in BATCHES:
        losses.append(backpropagate(ours, batch))
        optimizer.update_network(ours)
    np.testing.assert_allclose(losses, in_plain_torch(theirs, 0.05, 0.01), rtol=1e-4)
    assert losses[-1] < losses[0] / 2
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), atol=1e-5)


def test_both_learning_rates_warm_up_and_decay_by_schedules_of_thinc():
    def rates(initial: float) -> Any:
        return warmup_linear(initial, warmup_steps=2, total_steps=6)

    optimizer = build_adamw(rates(0.4), encoder_learn_rate=rates(0.1))
    seen = []
    for batch in BATCHES[:6]:
        network = small_network()  # a fresh one: the first step of Adam is the learning rate
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        backpropagate(network, batch)
        optimizer.update_network(network)
        optimizer.step_schedules()
        moved = {n: (p.detach() - before[n]).abs().max().item() for n, p in _biases(network)}
        seen.append([moved["decode.bias"], moved["embed.encoder.2.bias"]])
    expected = [[0.4 * f, 0.1 * f] for f in (0, 0.5, 1, 0.75, 0.5, 0.25)]
    np.testing.assert_allclose(seen, expected, rtol=1e-3, atol=1e-7)


def _biases(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in network.named_parameters() if name.endswith("bias")]


def test_parameters_outside_the_network_are_updated_as_by_adam_of_thinc():
    ours = build_adamw(0.1, encoder_learn_rate=7.0, weight_decay=0.1, grad_clip=0.5)
    theirs = Adam(0.1, L2=0.1, grad_clip=0.5, use_averages=False, L2_is_weight_decay=True)
    one, other = np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)
    for gradient in gradients(50):
        ours(KEY, one, gradient.copy())
        theirs(KEY, other, gradient.copy())
    np.testing.assert_array_equal(one, other)


def test_parameters_of_other_torch_networks_have_the_learning_rate_of_encoders():
    ours = build_adamw(0.1, encoder_learn_rate=warmup_linear(0.02, 2, 60), weight_decay=0.1)
    rate = warmup_linear(0.02, 2, 60)
    theirs = Adam(rate, L2=0.1, grad_clip=1.0, use_averages=False, L2_is_weight_decay=True)
    one, other = np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)
    for gradient in gradients(50):
        ours((1, "encoder.layer.0.weight"), one, gradient.copy())
        theirs((1, "encoder.layer.0.weight"), other, gradient.copy())
        assert ours.learn_rate == 0.1
        ours.step_schedules()
        theirs.step_schedules()
    np.testing.assert_array_equal(one, other)


def test_a_network_built_anew_starts_without_the_memory_of_the_last():
    optimizer, fresh = build_adamw(0.05), build_adamw(0.05)
    first = small_network()
    for batch in BATCHES[:5]:
        backpropagate(first, batch)
        optimizer.update_network(first)
    again, other = small_network(), small_network()
    for network, used in ((again, optimizer), (other, fresh)):
        backpropagate(network, BATCHES[0])
        used.update_network(network)
    for one, two in zip(again.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_an_optimizer_does_not_keep_networks_alive():
    optimizer, network = build_adamw(), small_network()
    backpropagate(network, BATCHES[0])
    optimizer.update_network(network)
    assert len(optimizer._of_networks) == 1
    del network
    gc.collect()
    assert len(optimizer._of_networks) == 0


def test_a_frozen_parameter_stays():
    network = small_network()
    network["embed"].encoder.requires_grad_(False)
    before = [p.detach().clone() for p in network["embed"].encoder.parameters()]
    backpropagate(network, BATCHES[0])
    build_adamw(weight_decay=0.5).update_network(network)
    after = network["embed"].encoder.parameters()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_config_names_the_schedules_of_both_rates():
    schedule = '@schedules = "warmup_linear.v1"\nwarmup_steps = 2\ntotal_steps = 6\n'
    text = '[optimizer]\n@optimizers = "spacy_mner.AdamW.v1"\nweight_decay = 0.5\n'
    for name, rate in (("learn_rate", 0.4), ("encoder_learn_rate", 0.1)):
        text += f"[optimizer.{name}]\ninitial_rate = {rate}\n{schedule}"
    optimizer = registry.resolve(Config().from_str(text))["optimizer"]
    seen = []
    for _ in range(4):
        seen += [optimizer.learn_rate, optimizer.encoder_learn_rate]
        optimizer.step_schedules()
    assert seen == pytest.approx([0.0, 0.0, 0.2, 0.05, 0.4, 0.1, 0.3, 0.075])
    assert optimizer.L2 == 0.5


def test_a_pipeline_trains_with_adamw(untrained):
    fix_random_seed(0)
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    optimizer = build_adamw(0.05)
    losses = [untrained.update(examples, sgd=optimizer)["multimodal_ner"] for _ in range(15)]
    assert losses[-1] < losses[0] / 2


def test_a_shared_tok2vec_learns_with_adamw_as_well(small_model):
    """Its weights are Thinc's, those of the tagger torch's."""
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
    optimizer = build_adamw(0.01)
    for _ in range(2):  # its first gradient is zero
        nlp.update(examples, sgd=optimizer)
    assert not np.array_equal(node.get_param("W"), before)


@pytest.mark.gpu
@pytest.mark.skipif(not has_cupy_gpu, reason="needs CuPy and a CUDA device")
def test_cupy_arrays_go_where_numpy_arrays_go():
    import cupy

    ours, theirs = cupy.ones((4, 3), "float32"), np.ones((4, 3), np.float32)
    on_gpu, on_cpu = build_adagrad(grad_clip=1.0, L2=0.1), build_adagrad(grad_clip=1.0, L2=0.1)
    for gradient in gradients(20):
        on_gpu(KEY, ours, cupy.asarray(gradient))
        on_cpu(KEY, theirs, gradient)
    np.testing.assert_allclose(ours.get(), theirs, atol=1e-5)
