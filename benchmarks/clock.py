"""Seconds by stage."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class StageClock:
    """Measures the stages of a step. The time of a nested stage is not part of the outer stage.

    now: returns wall-clock or processor time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.steps: list[dict[str, float]] = []
        self._running: list[list[float]] = []
        self._stages: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Measure one step: its total as "step", and its stages."""
        self._stages = defaultdict(float)
        start = self.now()
        yield
        self._stages["step"] = self.now() - start
        self.steps.append(dict(self._stages))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        inner = [0.0]
        self._running.append(inner)
        start = self.now()
        try:
            yield
        finally:
            taken = self.now() - start
            self._running.pop()
            self._stages[stage] += taken - inner[0]
            if self._running:
                self._running[-1][0] += taken

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Measure every call of `owner.name` as this stage."""
        setattr(owner, name, self.timed(getattr(owner, name), stage))

    def timed(self, function: Callable, stage: str) -> Callable:
        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with self(stage):
                return function(*args, **kwargs)

        return measured
