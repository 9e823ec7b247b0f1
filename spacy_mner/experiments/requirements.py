"""What all runs need of the machine, asked for before the first of them starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from spacy.util import registry
from thinc.api import Config
from thinc.compat import has_cupy_gpu

from ..corpus.errors import CorpusError


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
    """The block of the image encoder in a config, if pictures are encoded at all."""
    image = config["components"]["multimodal_ner"]["model"]["embed"]["image"]
    return None if image is None else image["encoder"]


def check_encoder(config: Config) -> None:
    """Encode a picture as a config says. Raises CorpusError where its encoder cannot."""
    block = encoder_of(config)
    if block is None:
        return
    try:
        encoder = registry.resolve({"encoder": block})["encoder"]
        encoder.encode([np.zeros((32, 32, 3), np.uint8)])
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        remedy = " (--encoder-weights FILE names others)" if "weights" in block else ""
        raise CorpusError(f"The image encoder cannot be used: {error}{remedy}.") from error
