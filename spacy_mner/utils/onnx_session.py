"""OnnxSession: an ONNX graph that ONNX Runtime computes on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import UsageError
from .per_process import PerProcess

PACKAGE = "onnxruntime"


class OnnxSession:
    """Computes an ONNX graph on the CPU, with as many threads as torch has. Thread-safe.

    Every process makes a session of its own: see `PerProcess`. A pickle contains `read` alone.

    read: returns the content of an .onnx file; picklable.

    Raises UsageError at first use if ONNX Runtime is not installed.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._sessions = PerProcess(partial(_read_session, read))

    def __call__(
        self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]
    ) -> list[np.ndarray]:
        """Return the outputs of these names."""
        return self._sessions.current().run(outputs, inputs)


def _read_session(read: Callable[[], bytes], n_threads: int) -> Any:
    return make_session(read(), n_threads=n_threads)


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
