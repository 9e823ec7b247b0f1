"""What each part of Liu et al. 2022 is worth."""

from __future__ import annotations

from .liu import LETTERS, SYSTEMS
from .rows import systems_experiment

KEYS = tuple(system.key for system in SYSTEMS)
ALONE, TEXT, ALL = "trf-alone", "trf-text", "trf-all"
PARTS = ("trf-image", "trf-augmentation", "trf-context", ALL)
# What each part adds to the text; then what every change makes of the whole.
PAIRS = [(TEXT, ALONE)]
PAIRS += [(part, TEXT) for part in PARTS]
PAIRS += [(key, ALL) for key in KEYS if key not in (ALONE, TEXT, *PARTS)]

EXPERIMENT = systems_experiment(
    "ablation", "What each part is worth (Liu et al. 2022)", KEYS, PAIRS, legend=[LETTERS]
)
