"""HuggingFaceVision: any vision model of Hugging Face as an image encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...utils.hub_model import HubModel, check_transformers, first_line, import_library
from ...utils.tensor_bytes import hash_tensors
from ..image_model import make_fingerprint
from .image_encoder import Outputs, Preprocessing, Regions
from .saved_encoder import Description, SavedEncoder, Weights

# File that each class of transformers loads.
FILES = {
    "AutoConfig": "config.json",
    "AutoImageProcessor": "preprocessor_config.json",
    "AutoModel": "model.safetensors",
}

# Entries of config.json that affect no feature: provenance, types, and the labels of a classifier.
UNUSED = {"_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype"}
UNUSED |= {"id2label", "label2id", "problem_type"}

# Colors whose preprocessed values determine mean and std, and the order of the channels.
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


class HuggingFaceVision(SavedEncoder):
    """The vision tower of CLIP or SigLIP, DINOv2, ViT and others; needs the extra `transformers`.

    The size of the input, its mean and std and the resampling are those of the model's own
    preprocessing. As with all encoders, the whole image is resized to that size and not cropped.

    name: of a model on the hub, or a folder. A saved pipeline holds the weights.
    revision: branch, tag or commit on the hub; None for the default branch.
    regions: "global" is the pooled vector of the model: of CLIP, the class token before the
        projection, which is the image feature of Radford et al. 2021 (appendix A); of SigLIP, the
        output of its attention pooling; of DINOv2, the class token. Where the checkpoint has no
        pooled vector (most ViT), it is the class token, and without one the mean of the patches.
        "grid" is the last hidden layer: the patches without class and register tokens, or the cells
        of the last feature map (ConvNeXt, ResNet, Swin).

    Raises UsageError without the package, and ValueError for a model that cannot be loaded or does
    not encode images; both at first use.
    """

    def __init__(
        self, *, name: str, revision: str | None = None, regions: Regions = "global"
    ) -> None:
        super().__init__(regions=regions)
        self.model = HubModel(name, revision, "image encoder", FILES)

    @property
    def fingerprint(self) -> str:
        config = self.description.architecture
        return make_fingerprint(
            f"{config['model_type']}-{self.regions}",
            config=config,
            weights=self.description.weights,
            preprocessing=self.preprocessing,
        )

    def check_installed(self) -> None:
        check_transformers()

    def describe(self) -> Description:
        network: Any = self._load_network(self.model)
        preprocessing = self._read_preprocessing()
        _, n_regions, dim = self._try(network, preprocessing.size).shape
        config = network.config.to_diff_dict()
        config = {key: value for key, value in config.items() if key not in UNUSED}
        self._network = network
        weights = hash_tensors(network.state_dict())
        return Description(config, weights, preprocessing, n_regions, dim)

    def load_source(self) -> nn.Module:
        return self._load_network(self.model)

    def _load_network(self, model: HubModel) -> nn.Module:
        config = model.load("AutoConfig")
        config = getattr(config, "vision_config", config)
        known = import_library("transformers").MODEL_MAPPING.get(type(config), None)
        if getattr(known, "main_input_name", None) != "pixel_values":
            raise self._unsupported(f"it is of the type {config.model_type!r}")
        # The library initializes missing weights at random.
        with torch.random.fork_rng(devices=[]):
            network, found = model.load("AutoModel", config=config, output_loading_info=True)
        missing = {name.split(".")[0] for name in found["missing_keys"]}
        if missing - {"pooler"}:
            raise self._unsupported(f"it has no weights for {', '.join(sorted(missing))}")
        if missing:
            network.pooler = None
        return network.float().eval().requires_grad_(False)

    # The library renames weights from version to version and reads the names of earlier ones in
    # the files of a model: the weights are saved as it writes them, and loaded as it reads them.

    def weights_of(self, network: Any) -> Weights:
        with TemporaryDirectory() as folder:
            network.save_pretrained(folder, max_shard_size="1TB")
            return load_file(Path(folder) / "model.safetensors")

    def build(self, weights: Weights) -> nn.Module:
        with TemporaryDirectory() as folder:
            config = json.dumps(self.description.architecture)
            (Path(folder) / "config.json").write_text(config, encoding="utf-8")
            path = Path(folder) / "model.safetensors"
            save_file(dict(weights), path, metadata={"format": "pt"})
            return self._load_network(replace(self.model, name=folder, revision=None))

    def _read_preprocessing(self) -> Preprocessing:
        processor = self.model.load("AutoImageProcessor")
        colors = [np.full((64, 64, 3), color, np.uint8) for color in (BLACK, WHITE, RED)]
        values = processor(images=colors, return_tensors="pt")["pixel_values"]
        if values.dim() != 4 or values.shape[1] != 3 or values.shape[2] != values.shape[3]:
            raise self._unsupported(f"its inputs have the shape {list(values.shape)}")
        size = values.shape[2]
        black, white, red = values[:, :, size // 2, size // 2].double().unbind()
        if not torch.equal(red, torch.stack([white[0], black[1], black[2]])):
            raise self._unsupported("its preprocessing mixes the channels")
        std = 255 / (white - black)
        mean = -black * std
        return Preprocessing(
            size,
            tuple(round(value, 4) for value in mean.tolist()),
            tuple(round(value, 4) for value in std.tolist()),
            Image.Resampling(getattr(processor, "resample", Image.Resampling.BICUBIC)),
        )

    def _try(self, network: nn.Module, size: int) -> Tensor:
        """Return the features of some image; raises ValueError for a model that does not fit."""
        try:
            with torch.inference_mode(), torch.random.fork_rng(devices=[]):
                inputs = torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size)
                features, again = (self.run(network, inputs).features for _ in range(2))
        except Exception as error:
            raise self._unsupported(f"it does not accept images ({first_line(error)})") from error
        if not torch.equal(features, again):
            raise self._unsupported("its output is random")
        return features

    def _unsupported(self, reason: str) -> ValueError:
        return ValueError(
            f"{self.model.name!r} is not supported as the image encoder: {reason}. Use a vision "
            "model such as CLIP, SigLIP, DINOv2 or ViT."
        )

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        outputs = network(pixel_values=inputs)
        hidden = outputs.last_hidden_state
        if hidden.dim() == 4:
            hidden = hidden.flatten(2).transpose(1, 2)
        # The image is square, and other tokens stand before the patches.
        n_patches = isqrt(hidden.shape[1]) ** 2
        patches = hidden[:, hidden.shape[1] - n_patches :]
        if self.regions == "grid":
            return Outputs(patches)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is None:
            pooled = hidden[:, 0] if hidden.shape[1] > n_patches else patches.mean(1)
        return Outputs(pooled.flatten(1)[:, None])
