"""What each part of Liu et al. 2022 is worth."""

from __future__ import annotations

from .liu import LETTERS, SYSTEMS
from .rows import systems_experiment

KEYS = tuple(system.key for system in SYSTEMS)
TEXT = "trf-text"
PARTS = ("trf-words", "trf-image", "trf-objects", "trf-augmentation", "trf-context", "trf-all")
# What each part adds to the text; then what a switch makes of the part that it changes.
PAIRS = (
    (TEXT, "trf-alone"),
    *((part, TEXT) for part in PARTS),
    ("trf-words-context", "trf-words"),
    ("trf-words-context-bilstm", "trf-words-context"),
    ("trf-all-objects", "trf-all"),
    ("trf-text-no-auxiliary", TEXT),
    ("trf-image-mean", "trf-image"),
    ("trf-image-text-first", "trf-image"),
    ("trf-objects-mean", "trf-objects"),
    ("trf-augmentation-gated", "trf-augmentation"),
)

EXPERIMENT = systems_experiment(
    "ablation", "What each part is worth (Liu et al. 2022)", KEYS, PAIRS, legend=[LETTERS]
)
