"""Tiny models that are applied to images: a reader that counts, and networks of Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import spacy_mner
from spacy_mner.images.readers.image_reader import ImageReader

from .encoders import SIZES, write_model

VISION = {**SIZES, "image_size": 16, "patch_size": 8}
LABELS = {0: "car", 1: "cat", 2: "tree"}


@spacy_mner.image_readers("tests.ColorNames.v1")
class ColorNames(ImageReader):
    """Reads "red" or "blue"; black has no text, and white is a defect. Counts images."""

    fingerprint = "color-names"

    def __init__(self) -> None:
        self.n_read = 0

    def compute(self, images, device=None, is_train=False):
        self.n_read += len(images)
        return [self._read(*image.mean((0, 1))) for image in images]

    def _read(self, red, green, blue):
        if green > 200:
            raise RuntimeError("white")
        return "red" if red > blue else "blue" if blue > red else ""


def blip(n_pieces: int) -> Any:
    import transformers

    config = transformers.BlipConfig(
        text_config={**SIZES, "vocab_size": n_pieces, "bos_token_id": 2, "sep_token_id": 3}
        | {"eos_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 32},
        vision_config=VISION,
    )
    return transformers.BlipForConditionalGeneration(config)


def git(n_pieces: int) -> Any:
    import transformers

    config = transformers.GitConfig(
        vision_config=VISION, vocab_size=n_pieces, bos_token_id=2, eos_token_id=3, **SIZES
    )
    return transformers.GitForCausalLM(config)


def encoder_decoder(n_pieces: int) -> Any:
    import transformers

    decoder = transformers.GPT2Config(
        vocab_size=n_pieces, n_embd=32, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3
    )
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(**VISION), decoder, decoder_start_token_id=9, pad_token_id=0
    )
    return transformers.VisionEncoderDecoderModel(config)


def write_captioner(folder: Path, make: Any = blip) -> Path:
    """A captioner with random weights of a kind: `blip`, `git` or `encoder_decoder`."""
    import transformers

    write_model(folder, make)
    processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16})
    processor.save_pretrained(folder)
    return folder


def write_detector(folder: Path, *, labels: dict[int, str] = LABELS, dominant: int = -1) -> Path:
    """A detector with random weights, which detects one class for certain if it is `dominant`."""
    import transformers

    config = transformers.YolosConfig(
        **SIZES,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=6,
        id2label=labels,
    )
    torch.manual_seed(0)
    model = transformers.YolosForObjectDetection(config)
    if dominant >= 0:
        with torch.no_grad():
            model.class_labels_classifier.layers[-1].bias[dominant] += 100
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    transformers.YolosImageProcessor(size=size, do_pad=False).save_pretrained(folder)
    return folder
