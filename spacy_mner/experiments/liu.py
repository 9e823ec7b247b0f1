"""Systems with the parts of Liu et al. 2022: each beside the text, and all without some of each."""

from __future__ import annotations

from functools import partial

from .system import AUGMENTATION, CHAR, DECODE, FUSE, IMAGE, OBJECTS, TEXT, WORD, System

WORDS = {WORD: {"@architectures": "spacy_mner.WordVectors.v1", "width": 150, "dropout": 0.3}}
NEIGHBOURS = {AUGMENTATION: {"@architectures": "spacy_mner.SemanticAugmentation.v1"}}
CONTEXT = {f"{TEXT}.context": True}
# A detector that needs no download, for the pictures of posts that bring no objects.
DETECTOR = {"@object_detectors": "spacy_mner.EfficientNetLiteDetector.v1", "threshold": 0.05}
FOUND = {OBJECTS: {"@architectures": "spacy_mner.ObjectEmbedding.v1", "detector": DETECTOR}}
NO_PICTURE = {IMAGE: None}
ALL = {**NEIGHBOURS, **CONTEXT}

LETTERS = (
    "T: the transformer; C: characters; W: words; V: the picture's regions, or its descriptor; A: "
    "nearest words; X: text about the picture; O: objects in it."
)
_system = partial(System, template="trf")
_whole = partial(_system, modalities="T + C + V + A + X")
SYSTEMS = (
    _system("trf-alone", "T", "the transformer alone", {CHAR: None, **NO_PICTURE}),
    _system("trf-text", "T + C", "text alone", NO_PICTURE),
    _system("trf-words", "T + C + W", "word vectors", {**NO_PICTURE, **WORDS}),
    _system("trf-image", "T + C + V", "regions or descriptor", {}),
    _system("trf-objects", "T + C + O", "objects", {**NO_PICTURE, **FOUND}),
    _system("trf-augmentation", "T + C + A", "augmentation", {**NO_PICTURE, **NEIGHBOURS}),
    _system("trf-context", "T + C + X", "context", {**NO_PICTURE, **CONTEXT}),
    _whole("trf-all", title="all: regions, augmentation, context", overrides=ALL),
    _system("trf-all-objects", "T + C + V + A + X + O", "all, and objects", {**ALL, **FOUND}),
    _whole(
        "trf-mean",
        title="all, a mean in place of the regions' gate",
        overrides={**ALL, f"{FUSE}.grid_gate": False},
    ),
    _system(
        "trf-objects-mean",
        "T + C + O",
        "objects, a mean in place of their gate",
        {**NO_PICTURE, **FOUND, f"{FUSE}.objects_gate": False},
    ),
    _whole(
        "trf-gated-augmentation",
        title="all, augmentation gated",
        overrides={**ALL, f"{FUSE}.augmentation_gate": True},
    ),
    _whole(
        "trf-text-first",
        title="all, regions do not ask the text",
        overrides={**ALL, f"{FUSE}.region_first": False},
    ),
    _whole(
        "trf-no-auxiliary",
        title="all, without auxiliary loss",
        overrides={**ALL, f"{FUSE}.auxiliary": False, f"{DECODE}.segmentation": None},
    ),
)
