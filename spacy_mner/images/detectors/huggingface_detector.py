"""HuggingFaceDetector: any object detector of Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..huggingface_network import HuggingFaceNetwork
from ..image_objects import ImageObject
from .object_detector import LONGEST, SHORTEST, Detections, ObjectDetector


class HuggingFaceDetector(HuggingFaceNetwork[list[ImageObject]], ObjectDetector):
    """DETR, Conditional DETR, RT-DETR, YOLOS and the like (`AutoModelForObjectDetection`).

    name: of a model on the Hugging Face hub, or a folder; loaded at first use. A saved pipeline
        holds its weights. Needs the extra `transformers`.
    revision: branch, tag or commit on the hub; None for the default branch.
    threshold: minimum score of an object, from 0 to 1.
    """

    role = "object detector"
    files: ClassVar[dict[str, str]] = {
        "AutoImageProcessor": "preprocessor_config.json",
        "AutoModelForObjectDetection": "model.safetensors",
    }

    def __init__(self, *, name: str, revision: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name, revision, threshold=threshold)

    @property
    def settings(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "sizes": (SHORTEST, LONGEST)}

    @cached_property
    def labels(self) -> Sequence[str]:
        network: Any = self.network_on(None)[0]
        names = network.config.id2label
        return ("background", *(names[index] for index in sorted(names)))

    def run(self, network: Any, image: Tensor) -> Detections:
        [preprocess] = self.processors
        pixels = (255 * image).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        inputs = preprocess(pixels, input_data_format="channels_last", return_tensors="pt")
        outputs = network(**{name: value.to(image.device) for name, value in inputs.items()})
        size = [tuple(image.shape[1:])]
        # The library returns scores above the threshold, and drops those of "no object".
        [found] = preprocess.post_process_object_detection(
            outputs, threshold=self.threshold, target_sizes=size
        )
        order = found["scores"].argsort(descending=True)
        return Detections(found["labels"][order] + 1, found["boxes"][order], found["scores"][order])
