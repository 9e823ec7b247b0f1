"""Images and descriptors as a memory of regions per post."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import ImageError
from ..images.encoders.image_encoder import ImageEncoder
from ..images.feature_cache import FeatureCache
from ..images.reference import LazyImage
from ..images.safety.limits import LARGEST
from .batch import PostBatch
from .featurizer import Featurizer, ImageFeatures
from .image_status import ImageStatus
from .opening import FirstImages, open_images


class ImageFeaturizer(Featurizer):
    """Gives every post the regions of its images, or of its precomputed descriptor.

    An image that cannot be used is masked: the post keeps a status that says why, and one
    warning is raised for it. No other image ever takes its place.

    store: encodes images and remembers them; None where posts bring descriptors only.
    """

    def __init__(self, store: FeatureCache[ImageEncoder] | None):
        self.store = store
        self.dim = 0 if store is None else store.encoder.dim
        self._first = FirstImages()
        self._observed_width = 0

    def update_vocab(self, doc: Doc, images_root: Path | None) -> None:
        if doc._.image_features is not None:
            self._observe_descriptor(doc)
        elif doc._.image is not None and self.store is not None:
            self._first.update_vocab(doc, images_root)

    def _observe_descriptor(self, doc: Doc) -> None:
        width = np.shape(doc._.image_features)[-1]
        expected = self._observed_width or (width if self.store is None else self.dim)
        self._observed_width = expected
        if width != expected and self.store is not None:
            raise ValueError(
                f"A training post brings image_features of width {width}, but the image encoder "
                f"of the config makes features of width {expected}. Set the encoder of the image "
                "modality to null to train on descriptors, or leave the descriptors out."
            )
        if width != expected:
            raise ValueError(
                f"Training posts bring image_features of different widths: {expected} and {width}."
            )

    def finalize(self) -> None:
        width, self._observed_width = self._observed_width, 0  # the next one begins anew
        self._first.finalize()
        if self.store is None:
            self.dim = width
        if not self.dim:
            raise ValueError(
                "The image modality has no encoder, and no training post brings image_features. "
                "Name an encoder in the config, convert the corpus with --features, or drop the "
                "modality."
            )

    def set_image_cache(self, folder: Path | None) -> None:
        if self.store is not None:
            self.store.folder = folder

    @property
    def reads(self) -> tuple[str, ...]:
        return ("image", "image_features")

    def dims(self) -> dict[str, int]:
        return {"dim": self.dim}

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        opened = [
            [] if without else self._open(doc, batch.images_root)
            for doc, without in zip(batch.docs, batch.without_image, strict=True)
        ]
        found = self._encode([item for items in opened for item in items])
        per_post, statuses, start = [], [], 0
        for items in opened:
            outcome = found[start : start + len(items)]
            start += len(items)
            per_post.append([part for part in outcome if isinstance(part, np.ndarray)])
            failures = [part for part in outcome if isinstance(part, ImageError)]
            statuses.append(ImageStatus.of(len(outcome), failures))
        return ImageFeatures(self._collate(per_post), statuses)

    def regions_of(self, doc: Doc, images_root: Path | None) -> list[int]:
        """How the regions of a post divide into its images: the number of each, in order.

        It is 0 for an image that is masked. A descriptor counts as one image.
        """
        found = self._encode(self._open(doc, images_root))
        return [len(part) if isinstance(part, np.ndarray) else 0 for part in found]

    def _open(self, doc: Doc, images_root: Path | None) -> list[Any]:
        """A post's descriptor or images, each as an array, an image, or what is wrong."""
        if doc._.image_features is not None:
            return [self._descriptor(doc._.image_features)]
        if doc._.image is None:
            return []
        if self.store is None:
            return [ImageError("the model takes image_features, not images")]
        return open_images(doc, images_root)

    def _descriptor(self, value: Any) -> np.ndarray | ImageError:
        if isinstance(value, ImageError):
            return value
        try:
            features = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            return ImageError(f"image_features is not an array of numbers ({error})")
        if features.ndim not in (1, 2) or features.shape[-1] != self.dim:
            return ImageError(
                f"image_features has shape {list(features.shape)}, "
                f"the model takes [{self.dim}] or [regions, {self.dim}]"
            )
        if not features.size:
            return ImageError("image_features holds no region")
        if not (np.abs(features) <= LARGEST).all():
            return ImageError(f"image_features holds values that are not within ±{LARGEST:,.0f}")
        return features.reshape(-1, self.dim)

    def _encode(self, items: Sequence[Any]) -> list[Any]:
        """Put features (or what is wrong) where images are, all images in one call."""
        images = [item for item in items if isinstance(item, LazyImage)]
        features = iter(self.store.features(images) if self.store and images else [])
        return [next(features) if isinstance(item, LazyImage) else item for item in items]

    def _collate(self, per_post: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
        n_regions = [sum(len(part) for part in parts) for parts in per_post]
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
        if self.store is not None and self.store.encoder.dim != value["dim"]:
            raise ValueError(
                f"The model was trained on image features of width {value['dim']}, the encoder "
                f"of the config makes width {self.store.encoder.dim}."
            )
        self.dim = value["dim"]

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        if self.store is None:
            return None
        self.store.encoder.check_installed()
        return f"features of {self.store.encoder.fingerprint}"
