"""ImageFeaturizer: images and descriptors as regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..errors import ImageError
from ..images.encoders.image_encoder import ImageEncoder
from ..images.encoders.saved_encoder import SavedEncoder
from ..images.feature_cache import FeatureCache
from ..images.reference import LazyImage
from ..images.safety.limits import LARGEST
from .featurizer import Arrays
from .visual_featurizer import VisualFeaturizer


class ImageFeaturizer(VisualFeaturizer[np.ndarray]):
    """Computes the regions of a post from its images, or takes its precomputed descriptor."""

    attribute = "image_features"

    def __init__(self, cache: FeatureCache[np.ndarray] | None):
        super().__init__(cache)
        self._width = 0  # of descriptors, without an encoder
        self._training_width = 0

    @property
    def encoder(self) -> ImageEncoder | None:
        network = None if self.cache is None else self.cache.network
        assert network is None or isinstance(network, ImageEncoder)
        return network

    @property
    def dim(self) -> int:
        return self._width if self.encoder is None else self.encoder.dim

    def update_given(self, doc: Doc) -> None:
        width = np.shape(doc._.image_features)[-1]
        expected = self._training_width or (width if self.encoder is None else self.dim)
        self._training_width = expected
        if width != expected and self.cache is not None:
            raise ValueError(
                f"A training post has image_features of width {width}, but the image encoder "
                f"of the config returns width {expected}. Set the encoder of the image "
                "modality to null to train on descriptors, or remove the descriptors."
            )
        if width != expected:
            raise ValueError(
                f"Training posts have image_features of different widths: {expected} and {width}."
            )

    def finalize(self) -> None:
        width, self._training_width = self._training_width, 0  # reset for another initialization
        super().finalize()
        self._width = width
        if not self.dim:
            raise ValueError(
                "The image modality has no encoder, and no training post has image_features. "
                "Set an encoder in the config, convert the corpus with --features, or remove the "
                "modality."
            )

    @property
    def saved_encoder(self) -> SavedEncoder | None:
        return self.encoder if isinstance(self.encoder, SavedEncoder) else None

    def restore_encoder(self, data: bytes) -> None:
        assert self.cache is not None and self.saved_encoder is not None
        self.saved_encoder.restore(data)
        self.cache.reset()

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image", "image_features")

    def dims(self) -> dict[str, int]:
        return {"dim": self.dim}

    def regions_of(self, doc: Doc) -> list[int]:
        """Return the number of regions of each image of a post, in order.

        It is 0 for an image that is masked. A descriptor counts as one image.
        """
        [outcomes] = self.compute([self.open(doc)])
        return [0 if isinstance(one, ImageError) else len(one) for one in outcomes]

    def open(self, doc: Doc) -> list[np.ndarray | LazyImage | ImageError]:
        if self.cache is None and doc._.image_features is None and doc._.image is not None:
            return [ImageError("the model takes image_features, not images")]
        return super().open(doc)

    def given(self, doc: Doc) -> list[np.ndarray]:
        value = doc._.image_features
        if isinstance(value, ImageError):
            raise value
        try:
            features = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise ImageError(f"image_features is not an array of numbers: {error}") from error
        if features.ndim not in (1, 2) or features.shape[-1] != self.dim:
            raise ImageError(
                f"image_features has the wrong shape: {list(features.shape)}, "
                f"expected [{self.dim}] or [regions, {self.dim}]"
            )
        if not features.size:
            raise ImageError("image_features has no regions")
        if not (np.abs(features) <= LARGEST).all():
            raise ImageError(f"image_features has values that are not within ±{LARGEST:,.0f}")
        return [features.reshape(-1, self.dim)]

    def collate(self, per_post: Sequence[list[np.ndarray]]) -> Arrays:
        n_regions = [sum(map(len, parts)) for parts in per_post]
        shape = (len(per_post), max(n_regions, default=0))
        regions = np.zeros((*shape, self.dim), dtype=np.float32)
        available = np.arange(shape[1]) < np.asarray(n_regions, dtype=np.int64)[:, None]
        for i, parts in enumerate(per_post):
            if parts:
                regions[i, : n_regions[i]] = np.concatenate(parts)
        return {"regions": regions, "available": available}

    @property
    def state(self) -> dict[str, Any]:
        return {"dim": self.dim}

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._width = value["dim"]
        if self.dim != value["dim"]:
            raise ValueError(
                f"The model was trained on image features of width {value['dim']}, the encoder "
                f"of the config returns width {self.dim}."
            )
