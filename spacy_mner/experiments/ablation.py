"""What each part of Liu et al. 2022 is worth."""

from __future__ import annotations

from .liu import LETTERS, SYSTEMS
from .rows import systems_experiment

KEYS = tuple(system.key for system in SYSTEMS)
TEXT, OBJECTS, ALL = "trf-text", "trf-objects", "trf-all"
PARTS = ("trf-words", "trf-image", OBJECTS, "trf-augmentation", "trf-context", ALL)
# What each part adds to the text; then what every change makes of the whole.
PAIRS = [(TEXT, "trf-alone")]
PAIRS += [(part, TEXT) for part in PARTS]
PAIRS += [("trf-objects-mean", OBJECTS)]
PAIRS += [(key, ALL) for key in KEYS if key not in {name for pair in PAIRS for name in pair}]

EXPERIMENT = systems_experiment(
    "ablation", "What each part is worth (Liu et al. 2022)", KEYS, PAIRS, legend=[LETTERS]
)
