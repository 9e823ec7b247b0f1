"""The systems of Moon et al. 2018, and their setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .system import CHAR, DECODE, ENCODE, FUSE, IMAGE, WORD, System

# Half of what is laid side by side, as Lample et al. 2016 drop it.
CONCATENATE = {FUSE: {"@architectures": "spacy_mner.Concatenate.v1", "dropout": 0.5}}
# The equation as it is printed, and the same without the bound that its sigmoid sets.
PRINTED = {
    f"{FUSE}.bounded": True,
    f"{FUSE}.combine": "sum",
    f"{FUSE}.skip_unknown": False,
}
UNBOUNDED = {**PRINTED, f"{FUSE}.bounded": False}
# Words and characters share a space well enough to be added up, as printed, and then a word that is
# not known is read by its characters in the place of its vector. Half as wide as side by side, what
# enters the BiLSTM bears less dropout.
SUMMED = {f"{FUSE}.combine": "sum", f"{FUSE}.dropout": 0.3}
# Sizes of Ma & Hovy 2016, table 1.
CHAR_CNN = {
    CHAR: {"@architectures": "spacy_mner.CharCNN.v1", "character_width": 30, "window": 3},
}

# W: words, C: characters, V: the image. The template is `wcv-attention`.
SYSTEMS = (
    System("c", "C", "BiLSTM-CRF, CharBiLSTM", {WORD: None, IMAGE: None, **CONCATENATE}),
    System("w", "W", "BiLSTM-CRF", {CHAR: None, IMAGE: None, **CONCATENATE}),
    System(
        "wc-aguilar",
        "W + C",
        "Aguilar et al. 2017: CharCNN, multi-task",
        {IMAGE: None, **CHAR_CNN, **CONCATENATE, f"{DECODE}.segmentation": "binary"},
    ),
    System(
        "wc-mahovy",
        "W + C",
        "Ma & Hovy 2016: CharCNN",
        {IMAGE: None, **CHAR_CNN, **CONCATENATE},
    ),
    System("wc-lample", "W + C", "Lample et al. 2016: CharBiLSTM", {IMAGE: None, **CONCATENATE}),
    System("wc-attention", "W + C", "CharBiLSTM, modality attention", {IMAGE: None, **SUMMED}),
    System("wc-side", "W + C", "modality attention, side by side", {IMAGE: None}),
    System("wcv-concatenation", "W + C + V", "CharBiLSTM, image", CONCATENATE),
    System("wcv-attention", "W + C + V", "CharBiLSTM, image, modality attention", {}),
    System("wc-printed", "W + C", "modality attention as printed", {IMAGE: None, **PRINTED}),
    System("wc-unbounded", "W + C", "the same, unbounded", {IMAGE: None, **UNBOUNDED}),
    System("wcv-printed", "W + C + V", "modality attention as printed", PRINTED),
    System("wcv-summed", "W + C + V", "modality attention, summed", SUMMED),
    System("wcv-unbounded", "W + C + V", "the same, unbounded", UNBOUNDED),
)

# Moon et al. 2018, section 4.3: all sizes, Adagrad and batch. They name no regularization; the
# network is that of Lample et al. 2016, who fine-tune the vectors, drop half of what enters the
# BiLSTM and nothing else.
# The image is seen by GoogLeNet, whose weights torchvision downloads.
PAPER: Mapping[str, Any] = {
    WORD: {
        "@architectures": "spacy_mner.WordVectors.v1",
        "width": 150,
        "dropout": 0.0,
        "keep": 1.0,
        "finetune": True,
    },
    CHAR: {
        "@architectures": "spacy_mner.CharBiLSTM.v1",
        "width": 150,
        "character_width": 25,
        "dropout": 0.0,
        "max_characters": 40,
    },
    f"{IMAGE}.width": 150,
    f"{IMAGE}.dropout": 0.0,
    f"{IMAGE}.bottleneck": None,
    f"{IMAGE}.encoder": {
        "@image_encoders": "spacy_mner.Torchvision.v1",
        "model": "googlenet",
        "weights": "IMAGENET1K_V1",
        "regions": "global",
        "seed": 0,
    },
    FUSE: {
        "@architectures": "spacy_mner.ModalityAttention.v1",
        "bounded": True,
        "combine": "sum",
        "skip_unknown": False,
        "dropout": 0.5,
    },
    ENCODE: {
        "@architectures": "spacy_mner.CoupledBiLSTM.v1",
        "hidden_width": 100,
        "dropout": 0.0,
    },
    DECODE: {
        "@architectures": "spacy_mner.CRF.v1",
        "segmentation": None,
        "segmentation_weight": 1.0,
    },
    "corpora.train.image_dropout": 0.0,
    "training.accumulate_gradient": 1,
    "training.batcher": {
        "@batchers": "spacy.batch_by_sequence.v1",
        "size": 10,
        "get_length": None,
    },
    # As many posts between two looks at dev as in the base, nearly: 3,000 and 3,200.
    "training.eval_frequency": 300,
    "training.optimizer": {
        "@optimizers": "spacy_mner.Adagrad.v1",
        "learn_rate": 0.02,
        "eps": 1e-8,
        "L2": 0.0,
        "grad_clip": 0.0,
        "use_averages": False,
    },
}
