"""Replacement of image references by the images, descriptors and captions found for them."""

from __future__ import annotations

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
    FileIndex,
    ImageFolder,
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
        names = [one for one in refs if _is_name(one)]
        if self.captions is not None:
            self._attach_caption(doc, self.captions, names)
        if self.features is not None and refs:
            found = self._find_all(doc, self.features, names, self.summary.images_missing)
            self.summary.images_matched += len(found)
            doc._.image_features = _concatenate(found)
        if self.folder is not None:
            missing: list[MissingImage] = []
            kept = self._find_all(doc, self.folder, refs, missing)
            self.summary.images_missing += missing
            self._suggest_root(self.folder, missing)
            self.summary.images_matched += sum(map(_is_name, kept))
        elif self.features is not None or self.by_id:
            self.summary.posts_with_unused_id += self.features is None and bool(names)
            kept = [one for one in refs if not _is_name(one)]
        else:
            kept = self._without_path_traversal(doc, refs)
        if kept != refs:
            doc._.image = kept[0] if len(kept) == 1 else (kept or None)
        return doc

    def _suggest_root(self, folder: ImageFolder, missing: list[MissingImage]) -> None:
        """Look for the first missing image of the corpus that exists in another folder."""
        for one in missing:
            if self.summary.root_hint:
                return
            if (found := folder.find_in_neighbors(one.reference)) is not None:
                root, path = found
                self.summary.root_hint = (
                    f"{folder.root / one.reference} does not exist, {root / path} does: "
                    f"--images-root {root}"
                )

    def _attach_caption(self, doc: Doc, captions: CaptionFile, names: list[Any]) -> None:
        """Look captions up by the names of the images, or else by the id of the post.

        A caption is missing only if the post has an image.
        """
        is_expected = names or has_image(doc)
        if not names and doc.user_data.get(POST_ID) is not None:
            names = [str(doc.user_data[POST_ID])]
        missing = self.summary.captions_missing if is_expected else []
        found = self._find_all(doc, captions, names, missing)
        self.summary.captions_matched += len(found)
        if found:
            doc._.image_text = "\n".join(found)

    def _without_path_traversal(self, doc: Doc, refs: list[Any]) -> list[Any]:
        """Drop paths with "..": they must not leave the folder that resolves them later."""
        kept = []
        for reference in refs:
            if _is_name(reference) and has_parent_reference(str(reference)):
                missing = self._missing(doc, reference, OUTSIDE_FOLDER)
                self.summary.images_missing.append(missing)
            else:
                kept.append(reference)
        return kept

    def _find_all(
        self, doc: Doc, index: ImageFolder | FileIndex, refs: list[Any], missing: list[MissingImage]
    ) -> list[Any]:
        """Replace names by what is found for them; names without a match are added to `missing`."""
        found = []
        for reference in expand(refs, index):
            try:
                found.append(index.find(str(reference)) if _is_name(reference) else reference)
            except ImageNotFound as error:
                missing.append(self._missing(doc, reference, str(error)))
        return found

    def _missing(self, doc: Doc, reference: Any, reason: str) -> MissingImage:
        post = str(doc.user_data.get(POST_ID) or f"post {self.summary.posts + 1:,} of the output")
        return MissingImage(post, str(reference), reason)


def _is_name(reference: Any) -> bool:
    return isinstance(reference, str | Path)


def _concatenate(found: list[np.ndarray]) -> np.ndarray | None:
    """Concatenate the descriptors of several images as regions; None if there are none."""
    if len(found) < 2:
        return found[0] if found else None
    return np.concatenate([np.atleast_2d(features) for features in found])
