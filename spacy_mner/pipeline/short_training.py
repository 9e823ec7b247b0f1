"""A warning of trainings that end before the dev posts are scored a second time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from ..errors import ShortTrainingWarning
from ..utils.caller import warn_caller


def warn_of_short_training(
    training: Mapping[str, Any], get_examples: Callable[[], Iterable[Any]]
) -> None:
    """Warn if spaCy scores dev before the first step alone: the best checkpoint is then untrained.

    training: the section of the config. Batches must be a fixed number of posts, otherwise the
        number of steps is unknown. A pipeline that is trained in code may have no such values.
    """
    n_steps = _short_steps(training, get_examples)
    if n_steps is None:
        return
    warn_caller(
        f"The training ends after {n_steps:,} steps, and training.eval_frequency is "
        f"{training['eval_frequency']:,}: dev is scored before the first step alone, so that "
        "model-best is not trained. For few posts, use --training.max_epochs 0 "
        "--training.max_steps 1000 --training.eval_frequency 50.",
        ShortTrainingWarning,
    )


def _short_steps(
    training: Mapping[str, Any], get_examples: Callable[[], Iterable[Any]]
) -> int | None:
    """Return the number of steps if dev is not scored after the first; None otherwise."""
    if not {"max_steps", "max_epochs", "batcher", "eval_frequency"} <= training.keys():
        return None
    max_steps, max_epochs = training["max_steps"], training["max_epochs"]
    size, frequency = training["batcher"].get("size"), training["eval_frequency"]
    # Steps count from 0: the evaluation is in step `frequency`, which is the last one with
    # `max_steps`, and one more than the batches of so many epochs.
    if 0 < max_steps < frequency:
        return int(max_steps)
    if max_epochs <= 0 or not isinstance(size, int):
        return None
    # No more posts than necessary are read.
    most = size * (frequency // max_epochs)
    found = len(list(islice(get_examples(), most + 1)))
    return None if found > most else math.ceil(found / size) * max_epochs
