"""All experiments by name."""

from __future__ import annotations

from . import ablation, attention, table1, table3
from .experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        table1.EXPERIMENT,
        table3.EXPERIMENT,
        attention.EXPERIMENT,
        ablation.EXPERIMENT,
    )
}
