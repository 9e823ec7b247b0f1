from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from thinc.api import fix_random_seed
from thinc.util import has_cupy_gpu

from spacy_mner.optimizer import build_adagrad

from .conftest import examples_of, gold_docs

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
