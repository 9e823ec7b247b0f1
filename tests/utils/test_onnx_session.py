"""A session of ONNX Runtime in threads, in processes, and after a pickle."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import torch

from spacy_mner.errors import UsageError
from spacy_mner.images.encoders.efficientnet_lite import read_onnx
from spacy_mner.images.encoders.efficientnet_onnx import INPUT
from spacy_mner.utils import onnx_session
from spacy_mner.utils.onnx_session import OnnxSession

INPUTS = np.random.default_rng(0).standard_normal((4, 3, 64, 64)).astype(np.float32)


@pytest.fixture
def session() -> OnnxSession:
    pytest.importorskip("onnxruntime")
    return OnnxSession(read_onnx)


def pooled(session: OnnxSession, i: int) -> np.ndarray:
    [output] = session(["pooled"], {INPUT: INPUTS[i : i + 1]})
    return output


@pytest.fixture
def expected(session: OnnxSession) -> list[np.ndarray]:
    return [pooled(session, i) for i in range(len(INPUTS))]


def test_eight_threads_make_one_session_and_get_their_own_outputs(session, monkeypatch):
    made = []
    make = onnx_session.make_session
    monkeypatch.setattr(
        onnx_session, "make_session", lambda *a, **k: made.append(k) or make(*a, **k)
    )
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda i: pooled(session, i % 4), range(32)))
    assert made == [{"n_threads": torch.get_num_threads()}]
    for i, output in enumerate(outputs):
        np.testing.assert_allclose(output, pooled(session, i % 4), atol=1e-6)


def test_a_session_has_the_threads_of_torch(session, monkeypatch):
    before = pooled(session, 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    np.testing.assert_allclose(pooled(session, 0), before, atol=1e-5)
    threads = [one.get_session_options().intra_op_num_threads for one in sessions_of(session)]
    assert threads == [1, 2]


def sessions_of(session: OnnxSession) -> list:
    return list(session._sessions._made.values())


def test_a_pickle_holds_no_session_and_computes_the_same(session, expected):
    data = pickle.dumps(session)
    assert len(data) < 1000
    np.testing.assert_array_equal(pooled(pickle.loads(data), 1), expected[1])


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_compute_the_same_after_the_parent_has_computed(
    session, expected, method, monkeypatch
):
    """With two threads: a forked child does not have those of its parent's session."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    pooled(session, 0)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        outputs = list(pool.map(pooled, [session] * 4, range(4), timeout=120))
    for output, one in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, one, atol=1e-5)


def test_a_forked_child_uses_the_object_of_its_parent_and_exits(session, expected, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    pooled(session, 0)
    process = multiprocessing.get_context("fork").Process(target=check, args=(session, expected))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def check(session: OnnxSession, expected: list[np.ndarray]) -> None:
    np.testing.assert_allclose(pooled(session, 2), expected[2], atol=1e-5)
    assert {pid for pid, _ in session._sessions._made} == {os.getppid(), os.getpid()}


def test_a_missing_package_is_reported_with_the_extra(monkeypatch):
    monkeypatch.setattr(onnx_session, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"spacy-mner\[onnx\]"):
        OnnxSession(read_onnx)(["pooled"], {})
