"""RapidOCR: the text in an image, recognized by PP-OCRv4 on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...errors import ImageError, UsageError
from ...utils.fork_safe_lock import ForkSafeLock
from ...utils.per_process import PerProcess
from ..image_model import check_threshold, make_fingerprint
from .image_reader import ImageReader

PACKAGE = "rapidocr_onnxruntime"

# Images with a longer side above LONGEST pixels are downscaled; those with a shorter side below
# SHORTEST are padded. (The package would then upscale both sides, to any length of the longer.)
LONGEST, SHORTEST = 2000, 32

# The side of an image that the package bounds before detection. By "max" it does not upscale, which
# is six times as fast and no less accurate.
LIMITED_SIDE = "max"

# The recognizer was trained on Chinese and rarely outputs a space between words, but its
# probability there is above this bound, and below it between the letters of a word.
MIN_SPACE = 0.01
BLANK = 0


class RapidOCR(ImageReader):
    """Recognizes text, one line per line of text, from top to bottom.

    Its networks come with the package rapidocr-onnxruntime. They read Latin and Chinese script.

    threshold: lines with a smaller mean probability are left out, from 0 to 1.

    Raises ValueError for another threshold, and UsageError without the package.
    """

    def __init__(self, *, threshold: float = 0.5) -> None:
        self.threshold = check_threshold(threshold)
        self._reset()

    def _reset(self) -> None:
        self._engines = PerProcess(partial(_make_engine, self.threshold))
        self._lock = ForkSafeLock()

    @property
    def fingerprint(self) -> str:
        return make_fingerprint(
            "rapidocr",
            version=version("rapidocr-onnxruntime"),
            threshold=self.threshold,
            min_space=MIN_SPACE,
            sizes=(LONGEST, SHORTEST),
            limited_side=LIMITED_SIDE,
        )

    def check_installed(self) -> None:
        if find_spec(PACKAGE) is None:
            raise UsageError(
                "The image reader RapidOCR.v1 needs the package rapidocr-onnxruntime: pip install "
                "'spacy-mner[ocr]' (on Python below 3.13)."
            )

    def compute(
        self,
        images: Sequence[np.ndarray],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[str | ImageError]:
        self.check_installed()
        # The package keeps state in its engine while it reads an image.
        with self._lock:
            return [self._read(image) for image in images]

    def _read(self, image: np.ndarray) -> str:
        bgr = np.ascontiguousarray(_padded(image)[..., ::-1])
        lines, _ = self._engines.current()(bgr)
        return "\n".join(text for _, text, _ in lines or () if text.strip())

    def __getstate__(self) -> dict[str, Any]:
        return {"threshold": self.threshold}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()


def _make_engine(threshold: float, n_threads: int) -> Any:
    from rapidocr_onnxruntime import RapidOCR as Engine

    engine = Engine(
        text_score=threshold,
        det_limit_type=LIMITED_SIDE,
        intra_op_num_threads=n_threads,
        inter_op_num_threads=1,
    )
    recognizer = engine.text_rec
    recognizer.postprocess_op = WordDecoder(recognizer.postprocess_op.character)
    return engine


class WordDecoder:
    """Greedy CTC decoding with spaces between words, in place of the package's decoder.

    characters: of each class of the recognizer; the first is the blank, the last the space.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = characters

    def __call__(self, probabilities: np.ndarray, *_: Any, **__: Any) -> list[tuple[str, float]]:
        """Return the text of each line and its mean probability.

        probabilities: float [n_lines, n_steps, n_classes].
        """
        return [self._decode(line) for line in probabilities]

    def _decode(self, line: np.ndarray) -> tuple[str, float]:
        best = line.argmax(1)
        is_new = best != BLANK
        is_new[1:] &= best[1:] != best[:-1]
        steps = np.flatnonzero(is_new)
        if not len(steps):
            return "", 0.0
        text = self.characters[best[steps[0]]]
        for previous, step in pairwise(steps):
            if line[previous : step + 1, -1].max() >= MIN_SPACE:
                text += " "
            text += self.characters[best[step]]
        return " ".join(text.split()), float(line[steps, best[steps]].mean())


def _padded(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if max(height, width) > LONGEST:
        scale = LONGEST / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        height, width = image.shape[:2]
    padding = [(0, max(SHORTEST - height, 0)), (0, max(SHORTEST - width, 0)), (0, 0)]
    return np.pad(image, padding, mode="edge")
