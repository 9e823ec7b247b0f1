"""What all runs need of the machine, asked for before the first of them starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from spacy.util import registry
from thinc.api import Config
from thinc.compat import has_cupy_gpu

from ..errors import CorpusError
from ..features.huggingface import read_files
from .compose import modalities_of
from .data import CorpusFolder


def check_gpu(gpu_id: int) -> None:
    """Raise CorpusError where there is no such GPU, or where spaCy cannot use it. -1: the CPU."""
    if gpu_id < 0:
        return
    there = torch.cuda.device_count()
    if gpu_id >= there:
        raise CorpusError(f"There is no GPU {gpu_id} for --gpu-id: torch sees {there} of them.")
    if not has_cupy_gpu:
        raise CorpusError("--gpu-id needs CuPy: pip install 'spacy-mner[cuda12x]' (or cuda13x).")


def encoder_of(config: Config) -> dict[str, Any] | None:
    """The block of the image encoder in a config, if images are encoded at all."""
    image = modalities_of(config).get("image")
    return None if image is None else image["encoder"]


def opens_images(config: Config) -> bool:
    """Whether images are opened: for an image encoder, or for a detector of objects."""
    objects = modalities_of(config).get("objects")
    return encoder_of(config) is not None or bool(objects and objects["detector"])


def text_encoder_of(config: Config) -> dict[str, Any] | None:
    """The block of the transformer that reads the text in a config, if there is one."""
    return modalities_of(config).get("text")


def needs_vectors(config: Config) -> bool:
    """Whether a config has a part that makes no sense without pretrained word vectors."""
    embed = {name for name, block in modalities_of(config).items() if block is not None}
    # Beside a transformer words stand for what other texts say of them, not for a learned table.
    return "augmentation" in embed or {"text", "word"} <= embed


def lacks(config: Config, corpus: CorpusFolder) -> str | None:
    """What a config reads and a corpus has nothing of."""
    embed = {name: block for name, block in modalities_of(config).items() if block is not None}
    brings, lacking = corpus.brings, []
    if "image" in embed and not brings & {"image", "image_features"}:
        lacking.append("posts with images (convert --images-root), or descriptors (--features)")
    if needs_vectors(config) and "vectors" not in corpus.hashes:
        lacking.append("word vectors (--vectors)")
    if "objects" in embed and not brings & {"image", "image_objects"}:
        lacking.append("posts with images, or with doc._.image_objects")
    if "text" in embed and embed["text"]["context"] and "image_text" not in brings:
        lacking.append("posts with doc._.image_text (convert --captions)")
    return " and ".join(lacking) or None


def check_text_encoder(config: Config) -> None:
    """Raise CorpusError where a config has a text encoder that there is not."""
    if text_encoder_of(config) is None:
        return
    try:
        read_files(config["paths"]["encoder"])
    except (ValueError, ImportError) as error:
        raise CorpusError(f"{error} (--encoder names another.)") from error


def check_encoder(config: Config) -> None:
    """Encode an image as a config says. Raises CorpusError where its encoder cannot."""
    block = encoder_of(config)
    if block is None:
        return
    try:
        encoder = registry.resolve({"encoder": block})["encoder"]
        encoder.encode([np.zeros((32, 32, 3), np.uint8)])
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        remedy = " (--encoder-weights FILE names others)" if "weights" in block else ""
        raise CorpusError(f"The image encoder cannot be used: {error}{remedy}.") from error
