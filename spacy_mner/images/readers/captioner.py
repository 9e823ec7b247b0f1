"""Captioner: a sentence about an image, by an image-to-text model of Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from ...errors import ImageError
from ..huggingface_network import HuggingFaceNetwork, without_provenance
from .image_reader import ImageReader


class Captioner(ImageReader, HuggingFaceNetwork[str]):
    """Describes an image by greedy decoding, with BLIP, GIT, ViT-GPT2 and the like.

    name: of a model on the Hugging Face hub, or a folder; loaded at first use. A saved pipeline
        holds its weights. Needs the extra `transformers`.
    revision: branch, tag or commit on the hub; None for the default branch.
    max_length: of a caption, in word pieces.

    Raises ValueError for a max_length below 1, and the errors of `HuggingFaceNetwork`.
    """

    role = "captioner"
    device_batch = 16
    files: ClassVar[dict[str, str]] = {
        "AutoImageProcessor": "preprocessor_config.json",
        "AutoTokenizer": "tokenizer.json",
        "AutoModelForImageTextToText": "model.safetensors",
    }

    def __init__(self, *, name: str, revision: str | None = None, max_length: int = 32) -> None:
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        super().__init__(name, revision)
        self.max_length = max_length

    @property
    def settings(self) -> dict[str, Any]:
        return {"max_length": self.max_length}

    def describe(self, network: Any) -> dict[str, Any]:
        _, tokenizer = self.processors
        # Not all tokenizers have the pieces in a backend.
        backend = getattr(tokenizer, "backend_tokenizer", None)
        return {
            **super().describe(network),
            "generation": without_provenance(network.generation_config.to_diff_dict()),
            "pieces": tokenizer.get_vocab() if backend is None else backend.to_str(),
            "special": tokenizer.all_special_ids,
            "spaces": getattr(tokenizer, "clean_up_tokenization_spaces", None),
        }

    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[str | ImageError]:
        if not images:
            return []
        found, device = self.network_on(device)
        network: Any = found
        preprocess, tokenizer = self.processors
        # An image of one row would be taken for one of one channel.
        inputs = preprocess(list(images), input_data_format="channels_last", return_tensors="pt")
        with torch.inference_mode():
            pieces = network.generate(
                pixel_values=inputs["pixel_values"].to(device),
                max_new_tokens=self.max_length,
                do_sample=False,
                num_beams=1,
            )
        texts = tokenizer.batch_decode(pieces, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]
