"""OnnxSession: an ONNX graph that ONNX Runtime computes on the CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from ..errors import UsageError
from .fork_safe_lock import ForkSafeLock

PACKAGE = "onnxruntime"


class OnnxSession:
    """Computes an ONNX graph on the CPU, with as many threads as torch has. Thread-safe.

    A session of ONNX Runtime has threads of its own, which a forked child does not have: every
    process makes its own at first use, and another one when torch's number of threads changes. A
    pickle contains `read` alone.

    read: returns the content of an .onnx file; picklable.

    Raises UsageError at first use if ONNX Runtime is not installed.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self.__setstate__(read)

    def __call__(
        self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]
    ) -> list[np.ndarray]:
        """Return the outputs of these names."""
        return self._current().run(outputs, inputs)

    def _current(self) -> Any:
        key = os.getpid(), torch.get_num_threads()
        with self._lock:
            if key not in self._sessions:
                # Those of a parent process stay: closing one would wait for its threads forever.
                self._sessions[key] = make_session(self._read(), n_threads=key[1])
            return self._sessions[key]

    def __getstate__(self) -> Callable[[], bytes]:
        return self._read

    def __setstate__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        # By process and number of threads.
        self._sessions: dict[tuple[int, int], Any] = {}
        self._lock = ForkSafeLock()


def is_onnx_runtime_installed() -> bool:
    return find_spec(PACKAGE) is not None


def check_onnx_runtime() -> None:
    """Raise UsageError if ONNX Runtime is not installed. Imports nothing."""
    if not is_onnx_runtime_installed():
        raise UsageError(
            f"The package {PACKAGE} is not installed: pip install 'spacy-mner[onnx]', or "
            f"{PACKAGE} alone."
        )


def make_session(graph: bytes, *, n_threads: int) -> Any:
    """Return an `onnxruntime.InferenceSession` of the content of an .onnx file."""
    check_onnx_runtime()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    # Threads that wait for work by spinning would slow down those of torch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
