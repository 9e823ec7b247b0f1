"""What an experiment is: variants that are trained, and a table that is made of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .compose import Overrides
from .data import Split
from .result import Result
from .system import WORD, System
from .systems import SYSTEMS

# Variant → seed → result.
Runs = Mapping[str, Mapping[int, Result]]
# What JSON takes: what a table says.
Summary = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What the user of an experiment decides.

    corpus: see `data.read_corpus`; output: folder of runs and tables.
    systems: those of the experiment that are trained; all of them where it names none.
    epochs: budget of a run; None for that of the template.
    encoder: the text encoder of systems with a transformer; None for that of the template.
    encoder_weights: file with the weights of the image encoder of the setting "paper".
    mixed_precision: compute in bfloat16 where the machine is the faster for it.
    workers: runs side by side, which share the cores.
    note: a line of the user's own for the page.
    """

    corpus: Path
    output: Path
    split: Split = "dev"
    seeds: tuple[int, ...] = (0,)
    systems: tuple[str, ...] = ()
    epochs: int | None = None
    vectors: str | None = None
    encoder: str | None = None
    images_root: Path | None = None
    setting: str = "modern"
    encoder_weights: Path | None = None
    mixed_precision: bool = False
    workers: int = 1
    gpu_id: int = -1
    keep_models: bool = False
    note: str = ""


@dataclass(frozen=True)
class Variant:
    """A config that is trained once a seed; runs of one key are shared by experiments.

    system: what it is made of; overrides: what is changed of that.
    """

    key: str
    system: System
    overrides: Overrides


@dataclass(frozen=True)
class Experiment:
    """Variants, and the form of their table.

    check: raises CorpusError, before anything runs, where options do not suit it.
    summarize: the figures of the table, of the runs that there are.
    render: the same in Markdown, without the facts that every page names.
    draw: writes plots into the output folder; returns their names.
    left_out: the variants that the corpus has not what they read for, with what that is.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]
    summarize: Callable[[Runs], Summary]
    render: Callable[[Summary], list[str]]
    check: Callable[[Options], None] = lambda options: None
    draw: Callable[[Summary, Path], list[str]] = lambda summary, folder: []
    left_out: Mapping[str, str] = field(default_factory=dict)


def variant_of(system: str, keep: float = 1.0) -> Variant:
    """A system, with a share of the vocabulary of its word vectors."""
    key = system if keep == 1.0 else f"{system}-keep{round(100 * keep)}"
    return Variant(key, SYSTEMS[system], {} if keep == 1.0 else {f"{WORD}.keep": keep})
