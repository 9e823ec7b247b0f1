"""HuggingFaceDetector: any object detector of Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image

from ...errors import ImageError
from ..huggingface_network import HuggingFaceNetwork
from ..image_model import check_threshold
from ..image_objects import ImageObject
from .object_detector import MAX_OBJECTS, ObjectDetector

# Images with a longer side above LONGEST pixels are downscaled, to bound memory (a detector
# resizes to a smaller size anyway); those with a shorter side below SHORTEST are upscaled,
# because a detector's feature maps would be empty.
LONGEST, SHORTEST = 2048, 32


class HuggingFaceDetector(ObjectDetector, HuggingFaceNetwork[list[ImageObject]]):
    """DETR, Conditional DETR, RT-DETR, YOLOS and the like (`AutoModelForObjectDetection`).

    Images are processed one by one, so that results do not depend on the batch. The label of an
    object is the model's own, and "class 7" for a class that the model has no label for.

    name: of a model on the Hugging Face hub, or a folder; loaded at first use. A saved pipeline
        holds its weights. Needs the extra `transformers`.
    revision: branch, tag or commit on the hub; None for the default branch.
    threshold: minimum score of an object, from 0 to 1.

    Raises ValueError for another threshold, and the errors of `HuggingFaceNetwork`.
    """

    role = "object detector"
    files: ClassVar[dict[str, str]] = {
        "AutoImageProcessor": "preprocessor_config.json",
        "AutoModelForObjectDetection": "model.safetensors",
    }

    def __init__(self, *, name: str, revision: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name, revision)
        self.threshold = check_threshold(threshold)

    @property
    def settings(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "sizes": (SHORTEST, LONGEST)}

    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[list[ImageObject] | ImageError]:
        if not images:
            return []
        network, device = self.network_on(device)
        return [self._detect(network, device, _resized(image)) for image in images]

    def _detect(
        self, network: Any, device: torch.device, image: np.ndarray
    ) -> list[ImageObject] | ImageError:
        [preprocess] = self.processors
        height, width = image.shape[:2]
        inputs = preprocess(image, input_data_format="channels_last", return_tensors="pt")
        with torch.inference_mode():
            outputs = network(**{name: value.to(device) for name, value in inputs.items()})
            # The library returns scores above the threshold, and drops those of "no object".
            [found] = preprocess.post_process_object_detection(
                outputs, threshold=self.threshold, target_sizes=[(height, width)]
            )
        best = found["scores"].argsort(descending=True)[:MAX_OBJECTS]
        classes, scores, boxes = (found[name][best] for name in ("labels", "scores", "boxes"))
        boxes = (boxes / boxes.new_tensor([width, height, width, height])).clamp(0, 1)
        if boxes.isnan().any() or scores.isnan().any():
            return ImageError("the object detector returned NaN")
        # By id: not every class has a label.
        names = network.config.id2label
        labels = [names.get(index, f"class {index}") for index in classes.tolist()]
        boxes = [(x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist()]
        return [*map(ImageObject, labels, scores.tolist(), boxes)]


def _resized(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(LONGEST / max(height, width), 1.0)
    size = (max(round(width * scale), SHORTEST), max(round(height * scale), SHORTEST))
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
