"""Systems with the parts of Liu et al. 2022: each beside the text, with its switches, and all."""

from __future__ import annotations

from functools import partial

from .compose import Overrides
from .system import AUGMENTATION, CHAR, DECODE, ENCODE, FUSE, IMAGE, OBJECTS, TEXT, WORD, System

WORDS = {WORD: {"@architectures": "spacy_mner.WordVectors.v1", "width": 150, "dropout": 0.3}}
NEIGHBORS = {AUGMENTATION: {"@architectures": "spacy_mner.SemanticAugmentation.v1"}}
CONTEXT = {f"{TEXT}.context": True}
# A detector that needs no download, for the images of posts that bring no objects.
DETECTOR = {"@object_detectors": "spacy_mner.EfficientNetLiteTagger.v1", "threshold": 0.05}
FOUND = {
    OBJECTS: {
        "@architectures": "spacy_mner.ObjectEmbedding.v1",
        "detector": DETECTOR,
    }
}
ALL = {**NEIGHBORS, **CONTEXT}
WORDS_CONTEXT = {**WORDS, **CONTEXT}
BILSTM = {"@architectures": "spacy_mner.BiLSTM.v1", "hidden_width": 150, "dropout": 0.3}
RECURRENT = {**WORDS_CONTEXT, ENCODE: BILSTM}
MEAN = {f"{FUSE}.grid_gate": False}
MEAN_OF_OBJECTS = {**FOUND, f"{FUSE}.objects_gate": False}
TEXT_FIRST = {f"{FUSE}.region_first": False}
GATED = {**NEIGHBORS, f"{FUSE}.augmentation_gate": True}
NO_AUXILIARY = {f"{FUSE}.auxiliary": False, f"{DECODE}.segmentation": None}

LETTERS = (
    "T: the transformer; C: characters; W: words; V: the image's regions, or its descriptor; A: "
    "nearest words; X: text about the image; O: objects in it."
)
_system = partial(System, template="trf")


def _no_image(key: str, modalities: str, title: str, overrides: Overrides) -> System:
    return _system(key, modalities, title, {IMAGE: None, **overrides})


# A switch is measured in the smallest system that has the part which it changes.
SYSTEMS = (
    _no_image("trf-alone", "T", "the transformer alone", {CHAR: None}),
    _no_image("trf-text", "T + C", "text alone", {}),
    _no_image("trf-text-no-auxiliary", "T + C", "no auxiliary loss", NO_AUXILIARY),
    _no_image("trf-words", "T + C + W", "word vectors", WORDS),
    _system("trf-image", "T + C + V", "regions or descriptor", {}),
    _system("trf-image-mean", "T + C + V", "a mean in place of their gate", MEAN),
    _system("trf-image-text-first", "T + C + V", "they do not ask the text", TEXT_FIRST),
    _no_image("trf-objects", "T + C + O", "objects", FOUND),
    _no_image("trf-objects-mean", "T + C + O", "a mean in place of their gate", MEAN_OF_OBJECTS),
    _no_image("trf-augmentation", "T + C + A", "nearest words", NEIGHBORS),
    _no_image("trf-augmentation-gated", "T + C + A", "gated", GATED),
    _no_image("trf-context", "T + C + X", "text about the image", CONTEXT),
    _no_image("trf-words-context", "T + C + W + X", "and word vectors", WORDS_CONTEXT),
    _no_image("trf-words-context-bilstm", "T + C + W + X", "and a BiLSTM", RECURRENT),
    _system("trf-all", "T + C + V + A + X", "all of these", ALL),
    _system("trf-all-objects", "T + C + V + A + X + O", "all, and objects", {**ALL, **FOUND}),
)
