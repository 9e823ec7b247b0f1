"""Replacement of image references by the images, descriptors and captions found for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..extensions import POST_ID, has_image
from ..images.reference import references
from ..images.safety.paths import OUTSIDE_FOLDER, has_parent_reference
from .image_lookup import (
    CaptionFile,
    FeatureFile,
    ImageFolder,
    ImageIndex,
    ImageNotFound,
    expand,
)
from .summary import MissingImage, Summary


class ImageAttacher:
    """Replaces the image references of a Doc by what is found for them.

    images_root, features, captions: see `convert.Options`.
    by_id: references are ids of images, which are useless as paths.
    summary: receives the numbers of matches and the missing images.
    """

    def __init__(
        self,
        images_root: Path | None,
        features: Path | None,
        captions: Path | None,
        *,
        by_id: bool,
        summary: Summary,
    ) -> None:
        self.folder = ImageFolder(images_root) if images_root else None
        self.features = FeatureFile(features) if features else None
        self.captions = CaptionFile(captions) if captions else None
        self.by_id = by_id
        self.summary = summary

    def __call__(self, doc: Doc) -> Doc:
        """Set the image, descriptor and caption of a Doc, and return it."""
        refs = references(doc._.image)
        if self.captions is not None:
            self._attach_caption(doc, self.captions, expand(refs, self.captions))
        if refs:
            self._attach_images(doc, refs)
        return doc

    def _attach_images(self, doc: Doc, refs: list[Any]) -> None:
        names, contents = _partition(refs)
        if self.features is not None:
            doc._.image_features = _concatenate(self._find_all(doc, self.features, names))
        if self.folder is not None:
            doc._.image = _one_or_all(self._find_all(doc, self.folder, refs))
        elif self.features is not None or self.by_id:
            doc._.image = _one_or_all(contents)
        else:
            self._drop_path_traversal(doc, refs)

    def _attach_caption(self, doc: Doc, captions: CaptionFile, refs: list[Any]) -> None:
        """Look captions up by the names of the images, or else by the id of the post.

        A caption is missing only if the post has an image.
        """
        names, _ = _partition(refs)
        post_id = doc.user_data.get(POST_ID)
        found = []
        for name in names or [post_id] * (post_id is not None):
            try:
                found.append(captions.find(str(name)))
            except ImageNotFound as error:
                if names or has_image(doc):
                    missing = MissingImage(self._name(doc), str(name), str(error))
                    self.summary.captions_missing.append(missing)
        self.summary.captions_matched += len(found)
        if found:
            doc._.image_text = "\n".join(found)

    def _drop_path_traversal(self, doc: Doc, refs: list[Any]) -> None:
        """Drop paths with "..": they must not leave the folder that resolves them later."""
        kept = []
        for reference in refs:
            if _is_name(reference) and has_parent_reference(str(reference)):
                self._report_missing(doc, reference, OUTSIDE_FOLDER)
            else:
                kept.append(reference)
        if len(kept) < len(refs):
            doc._.image = _one_or_all(kept)

    def _find_all(self, doc: Doc, index: ImageIndex, refs: Iterable[Any]) -> list[Any]:
        found = []
        for reference in expand(refs, index):
            if not _is_name(reference):
                found.append(reference)
                continue
            try:
                found.append(index.find(str(reference)))
                self.summary.images_matched += 1
            except ImageNotFound as error:
                self._report_missing(doc, reference, str(error))
        return found

    def _report_missing(self, doc: Doc, reference: Any, reason: str) -> None:
        missing = MissingImage(self._name(doc), str(reference), reason)
        self.summary.images_missing.append(missing)

    def _name(self, doc: Doc) -> str:
        return str(doc.user_data.get(POST_ID) or f"post {self.summary.posts + 1}")


def _is_name(reference: Any) -> bool:
    return isinstance(reference, str | Path)


def _partition(refs: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Separate names of images from images that are included in the corpus."""
    items = list(refs)
    return [x for x in items if _is_name(x)], [x for x in items if not _is_name(x)]


def _one_or_all(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else (found or None)


def _concatenate(found: list[np.ndarray]) -> np.ndarray | None:
    """Concatenate the descriptors of several images as regions; None if there are none."""
    if len(found) < 2:
        return found[0] if found else None
    return np.concatenate([np.atleast_2d(features) for features in found])
