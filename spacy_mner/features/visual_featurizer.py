"""VisualFeaturizer: opens the images of posts and applies a frozen network to them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic

import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import ImageError
from ..images.disk_cache import DiskCache
from ..images.feature_cache import FeatureCache
from ..images.image_model import Result
from ..images.reference import LazyImage, open_images
from .batch import PostBatch
from .featurizer import Arrays, Featurizer, ImageFeatures
from .image_status import ImageStatus

# Training images that are opened to check images_root.
N_CHECKED = 20


class VisualFeaturizer(Featurizer, Generic[Result]):
    """Base class: the results of a network for a post, given in an attribute or computed.

    An image that cannot be used is masked, with the reason in the post's status. No other image
    takes its place.

    attribute: the extension attribute with given results.
    cache: the network with the results it computed; None for given results only.
    """

    attribute: ClassVar[str]

    def __init__(self, cache: FeatureCache[Result] | None) -> None:
        self.cache = cache
        self._checked: list[LazyImage | ImageError] = []

    @abstractmethod
    def given(self, doc: Doc) -> list[Result]:
        """Return the results in the post's attribute; raises ImageError for unusable ones."""

    @abstractmethod
    def update_given(self, doc: Doc) -> None:
        """Update the vocabulary with the results in the attribute of a training post."""

    @abstractmethod
    def collate(self, per_post: Sequence[list[Result]]) -> Arrays:
        """Return the embedder's inputs for the results of each post."""

    def update_vocab(self, doc: Doc) -> None:
        if doc._.get(self.attribute) is not None:
            self.update_given(doc)
        elif self.cache is not None and len(self._checked) < N_CHECKED:
            self._checked += open_images(doc._.image, self.images_root)

    def finalize(self) -> None:
        """Raise ValueError if none of N_CHECKED images can be opened: then images_root is wrong."""
        checked, self._checked = self._checked, []  # reset for another initialization
        failures = errors_in(checked)
        if len(failures) == len(checked) >= N_CHECKED:
            raise ValueError(
                f"None of the first {len(failures)} images of the training posts can be opened "
                f"(the first: {failures[0]}). Set images_root (with our configs "
                "--paths.images_root) to the folder that their paths are relative to, or the "
                "image modality to null."
            )

    def __call__(self, batch: PostBatch) -> ImageFeatures:
        opened = [
            [] if masked else self.open(doc)
            for doc, masked in zip(batch.docs, batch.without_image, strict=True)
        ]
        outcomes = self.compute(opened, batch.device, batch.is_train)
        statuses = [ImageStatus.of(len(post), errors_in(post)) for post in outcomes]
        return ImageFeatures(self.collate([results_in(post) for post in outcomes]), statuses)

    def check_trainable(self, *, is_trained: bool) -> None:
        if self.cache is not None:
            self.cache.network.check_trainable(is_trained=is_trained)

    def open(self, doc: Doc) -> list[Result | LazyImage | ImageError]:
        """Return a post's given results or its images, or why they cannot be used."""
        if doc._.get(self.attribute) is not None:
            try:
                return [*self.given(doc)]
            except ImageError as error:
                return [error]
        return [] if self.cache is None else [*open_images(doc._.image, self.images_root)]

    def compute(
        self,
        opened: Sequence[list[Result | LazyImage | ImageError]],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[list[Result | ImageError]]:
        """Replace images by their results, all images in one call."""
        images = [one for post in opened for one in post if isinstance(one, LazyImage)]
        computed = self.cache.results(images, device, is_train) if self.cache and images else []
        results = iter(computed)
        return [
            [next(results) if isinstance(one, LazyImage) else one for one in post]
            for post in opened
        ]

    def set_image_cache(self, disk: DiskCache | None) -> None:
        if self.cache is not None:
            self.cache.disk = disk

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.attribute,) if self.cache is None else (self.attribute, "image")

    def resource_fingerprint(self, vocab: Vocab) -> str | None:
        if self.cache is None:
            return None
        self.cache.network.check_installed()
        results = self.attribute.removeprefix("image_")
        return f"{results} of {self.cache.network.fingerprint}"


def results_in(outcomes: Iterable[Result | ImageError]) -> list[Result]:
    return [one for one in outcomes if not isinstance(one, ImageError)]


def errors_in(outcomes: Iterable[Any]) -> list[ImageError]:
    return [one for one in outcomes if isinstance(one, ImageError)]
