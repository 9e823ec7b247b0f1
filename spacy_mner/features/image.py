"""ImageFeaturizer: images and descriptors as regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import ImageError
from ..images.disk_cache import DiskCache
from ..images.encoders.image_encoder import ImageEncoder
from ..images.encoders.saved_encoder import SavedEncoder
from ..images.feature_cache import FeatureCache
from ..images.reference import LazyImage, open_images
from ..images.safety.limits import LARGEST
from .batch import PostBatch
from .featurizer import Arrays, Featurizer, ImageFeatures
from .image_status import ImageStatus

# Training images that are opened, at most, to check images_root.
N_CHECKED = 20

# The images of a post that are not encoded yet, or its descriptor; or why one cannot be used.
Opened = list[np.ndarray | LazyImage | ImageError]


class ImageFeaturizer(Featurizer):
    """Computes the regions of a post from its images, or takes its precomputed descriptor.

    An image that cannot be used is masked, with the reason in the post's status. No other image
    takes its place.

    cache: the encoder with the features it computed; None for descriptors only.
    """

    def __init__(self, cache: FeatureCache[np.ndarray] | None):
        self.cache = cache
        self._checked: Opened = []
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

    def update_vocab(self, doc: Doc) -> None:
        if doc._.image_features is not None:
            self._update_width(np.shape(doc._.image_features)[-1])
        elif self.cache is not None and len(self._checked) < N_CHECKED:
            self._checked += open_images(doc._.image, self.images_root)

    def _update_width(self, width: int) -> None:
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
        # Reset for another initialization.
        width, self._training_width = self._training_width, 0
        checked, self._checked = self._checked, []
        _check_images_root(checked)
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

    def set_image_cache(self, disk: DiskCache | None) -> None:
        if self.cache is not None:
            self.cache.disk = disk

    def check_trainable(self, *, is_trained: bool) -> None:
        if self.encoder is not None:
            self.encoder.check_trainable(is_trained=is_trained)

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        if self.encoder is None:
            return None
        self.encoder.check_installed()
        return f"features of {self.encoder.fingerprint}"

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image", "image_features")

    def dims(self) -> dict[str, int]:
        return {"dim": self.dim}

    def regions_of(self, doc: Doc) -> list[int]:
        """Return the number of regions of each image of a post, in order.

        It is 0 for an image that is masked. A descriptor counts as one image.
        """
        [outcomes] = self._encode([self._open(doc)])
        return [0 if isinstance(one, ImageError) else len(one) for one in outcomes]

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        opened = [
            [] if masked else self._open(doc)
            for doc, masked in zip(batch.docs, batch.without_image, strict=True)
        ]
        outcomes = self._encode(opened, batch.device, batch.is_train)
        statuses = [ImageStatus.of(len(post), _errors_in(post)) for post in outcomes]
        usable = [[one for one in post if not isinstance(one, ImageError)] for post in outcomes]
        return ImageFeatures(self._collate(usable), statuses)

    def _open(self, doc: Doc) -> Opened:
        if doc._.image_features is not None:
            try:
                return [self._descriptor(doc._.image_features)]
            except ImageError as error:
                return [error]
        if self.cache is not None:
            return [*open_images(doc._.image, self.images_root)]
        if doc._.image is not None:
            return [ImageError("the model takes image_features, not images")]
        return []

    def _encode(
        self,
        opened: Sequence[Opened],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[list[np.ndarray | ImageError]]:
        """Replace images by their features, all images in one call."""
        images = [one for post in opened for one in post if isinstance(one, LazyImage)]
        computed = self.cache.results(images, device, is_train) if self.cache and images else []
        features = iter(computed)
        return [
            [next(features) if isinstance(one, LazyImage) else one for one in post]
            for post in opened
        ]

    def _descriptor(self, value: Any) -> np.ndarray:
        """Return a descriptor as float32 [regions, dim]; raises ImageError for an unusable one."""
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
        return features.reshape(-1, self.dim)

    def _collate(self, per_post: Sequence[list[np.ndarray]]) -> Arrays:
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


def _check_images_root(checked: Opened) -> None:
    """Raise ValueError if none of the images can be opened: then images_root is wrong."""
    failures = _errors_in(checked)
    if failures and len(failures) == len(checked):
        raise ValueError(
            f"None of the {len(failures)} images of training posts that were checked can be opened "
            f"(the first: {failures[0]}). Set images_root (with our configs "
            "--paths.images_root) to the folder that their paths are relative to, or the "
            "image modality to null."
        )


def _errors_in(outcomes: Iterable[Any]) -> list[ImageError]:
    return [one for one in outcomes if isinstance(one, ImageError)]
