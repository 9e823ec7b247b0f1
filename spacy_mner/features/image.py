"""ImageFeaturizer: images and descriptors as regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import ImageError
from ..images.disk_cache import DiskCache
from ..images.encoders.image_encoder import ImageEncoder
from ..images.feature_cache import FeatureCache
from ..images.reference import LazyImage
from ..images.safety.limits import LARGEST
from .batch import PostBatch
from .featurizer import Featurizer, ImageFeatures
from .image_status import ImageStatus
from .opening import ImagesRootCheck, open_images

Item = np.ndarray | LazyImage | ImageError


class ImageFeaturizer(Featurizer):
    """Computes the regions of a post from its images, or takes its precomputed descriptor.

    An image that cannot be used is masked, with the reason in the post's status. No other image
    takes its place.

    cache: the image encoder with the features it computed; None for descriptors only.
    """

    def __init__(self, cache: FeatureCache[np.ndarray] | None):
        self.cache = cache
        self.dim = 0 if self.encoder is None else self.encoder.dim
        self._root_check = ImagesRootCheck()
        self._training_width = 0

    @property
    def encoder(self) -> ImageEncoder | None:
        network = None if self.cache is None else self.cache.network
        assert network is None or isinstance(network, ImageEncoder)
        return network

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        if doc._.image_features is not None:
            self._check_width(np.shape(doc._.image_features)[-1])
        elif doc._.image is not None and self.cache is not None:
            self._root_check.update(doc, images_root)

    def _check_width(self, width: int) -> None:
        expected = self._training_width or (width if self.cache is None else self.dim)
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
        self._root_check.finalize()
        if self.cache is None:
            self.dim = width
        if not self.dim:
            raise ValueError(
                "The image modality has no encoder, and no training post has image_features. "
                "Set an encoder in the config, convert the corpus with --features, or remove the "
                "modality."
            )

    def set_image_cache(self, disk: DiskCache | None) -> None:
        if self.cache is not None:
            self.cache.disk = disk

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image", "image_features")

    def dims(self) -> dict[str, int]:
        return {"dim": self.dim}

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        opened = [
            [] if masked else self._open(doc, batch.images_root)
            for doc, masked in zip(batch.docs, batch.without_image, strict=True)
        ]
        encoded = iter(self._encode([item for items in opened for item in items], batch.device))
        outcomes = [[next(encoded) for _ in items] for items in opened]
        failures = [[one for one in post if isinstance(one, ImageError)] for post in outcomes]
        regions = [[one for one in post if isinstance(one, np.ndarray)] for post in outcomes]
        statuses = [
            ImageStatus.of(len(post), failed)
            for post, failed in zip(outcomes, failures, strict=True)
        ]
        return ImageFeatures(self._collate(regions), statuses)

    def regions_of(self, doc: Doc, images_root: Path | None) -> list[int]:
        """Return the number of regions of each image of a post, in order.

        It is 0 for an image that is masked. A descriptor counts as one image.
        """
        outcomes = self._encode(self._open(doc, images_root))
        return [len(one) if isinstance(one, np.ndarray) else 0 for one in outcomes]

    def _open(self, doc: Doc, images_root: Path | None) -> list[Item]:
        """Return a post's descriptor or its images, or why one cannot be used."""
        if doc._.image_features is not None:
            return [self._descriptor(doc._.image_features)]
        if doc._.image is None:
            return []
        if self.cache is None:
            return [ImageError("the model takes image_features, not images")]
        return [*open_images(doc, images_root)]

    def _descriptor(self, value: Any) -> np.ndarray | ImageError:
        if isinstance(value, ImageError):
            return value
        try:
            features = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            return ImageError(f"image_features is not an array of numbers: {error}")
        if features.ndim not in (1, 2) or features.shape[-1] != self.dim:
            return ImageError(
                f"image_features has the wrong shape: {list(features.shape)}, "
                f"expected [{self.dim}] or [regions, {self.dim}]"
            )
        if not features.size:
            return ImageError("image_features has no regions")
        if not (np.abs(features) <= LARGEST).all():
            return ImageError(f"image_features has values that are not within ±{LARGEST:,.0f}")
        return features.reshape(-1, self.dim)

    def _encode(
        self,
        items: Sequence[Item],
        device: torch.device | None = None,
    ) -> list[np.ndarray | ImageError]:
        """Replace images by their features, all images in one call."""
        images = [item for item in items if isinstance(item, LazyImage)]
        features = iter(self.cache.results(images, device) if self.cache and images else [])
        return [next(features) if isinstance(item, LazyImage) else item for item in items]

    def _collate(self, per_post: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
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
        if self.encoder is not None and self.encoder.dim != value["dim"]:
            raise ValueError(
                f"The model was trained on image features of width {value['dim']}, the encoder "
                f"of the config returns width {self.encoder.dim}."
            )
        self.dim = value["dim"]

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        if self.encoder is None:
            return None
        self.encoder.check_installed()
        return f"features of {self.encoder.fingerprint}"
