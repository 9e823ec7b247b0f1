"""What a config made of the network, in words that can be saved and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

# They take no part in an answer: a person may change them and train on.
TRAINING_ONLY = frozenset({"dropout", "freeze", "segmentation_weight"})


def describe_block(build: Callable, settings: Mapping[str, Any] | None = None) -> str:
    """A builder and its settings as `Name(setting=value, …)`, in alphabetical order.

    settings: more of them, of the same block.
    """
    given = dict(settings or {})
    while isinstance(build, partial):
        given = {**build.keywords, **given}
        build = build.func
    name = getattr(build, "__qualname__", type(build).__name__)
    listed = [f"{key}={_plain(given[key])}" for key in sorted(given) if key not in TRAINING_ONLY]
    return f"{name}({', '.join(listed)})"


def _plain(value: Any) -> str:
    """A value of a config as written; of anything else its type, for it may print its address."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_plain, value))}]"
    is_plain = value is None or isinstance(value, (str, int, float))
    return repr(value) if is_plain else type(value).__name__
