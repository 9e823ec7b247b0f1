"""Systems with the parts of Liu et al. 2022: each beside the text, and all without some of each."""

from __future__ import annotations

from functools import partial

from .system import AUGMENTATION, CHAR, DECODE, ENCODE, FUSE, IMAGE, OBJECTS, TEXT, WORD, System

NEIGHBOURS = {AUGMENTATION: {"@architectures": "spacy_mner.SemanticAugmentation.v1"}}
CONTEXT = {f"{TEXT}.context": True}
# A detector that needs no download, for the pictures of posts that bring no objects.
DETECTOR = {"@object_detectors": "spacy_mner.EfficientNetLiteDetector.v1", "threshold": 0.05}
FOUND = {OBJECTS: {"@architectures": "spacy_mner.ObjectEmbedding.v1", "detector": DETECTOR}}
NO_PICTURE = {IMAGE: None}
ALONE = {WORD: None, CHAR: None, ENCODE: {"@architectures": "spacy_mner.None.v1"}, **NO_PICTURE}
ALL = {**NEIGHBOURS, **CONTEXT}

LETTERS = (
    "T: the transformer; W: words; C: characters; V: the picture's regions, or its descriptor; A: "
    "nearest words; X: text about the picture; O: objects in it."
)
_system = partial(System, template="trf")
SYSTEMS = (
    _system("trf-alone", "T", "the transformer alone", ALONE),
    _system("trf-text", "T + W + C", "text alone", NO_PICTURE),
    _system("trf-image", "T + W + C + V", "regions or descriptor", {}),
    _system("trf-augmentation", "T + W + C + A", "augmentation", {**NO_PICTURE, **NEIGHBOURS}),
    _system("trf-context", "T + W + C + X", "context", {**NO_PICTURE, **CONTEXT}),
    _system("trf-all", "T + W + C + V + A + X", "all of these", ALL),
    _system("trf-objects", "T + W + C + V + A + X + O", "and objects", {**ALL, **FOUND}),
    _system(
        "trf-mean",
        "T + W + C + V + A + X",
        "all, a mean in place of the gate",
        {**ALL, f"{FUSE}.grid_gate": False, f"{FUSE}.objects_gate": False},
    ),
    _system(
        "trf-gated-augmentation",
        "T + W + C + V + A + X",
        "all, augmentation gated",
        {**ALL, f"{FUSE}.augmentation_gate": True},
    ),
    _system(
        "trf-text-first",
        "T + W + C + V + A + X",
        "all, regions do not ask the text",
        {**ALL, f"{FUSE}.region_first": False},
    ),
    _system(
        "trf-no-auxiliary",
        "T + W + C + V + A + X",
        "all, without auxiliary loss",
        {**ALL, f"{FUSE}.auxiliary": False, f"{DECODE}.segmentation": None},
    ),
)
