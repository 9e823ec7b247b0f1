"""References of a corpus replaced by the images, descriptors and captions that were found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc

from ..extensions import has_image
from ..images.reference import references
from ..images.safety.paths import LEADS_OUT, climbs
from .image_lookup import (
    CaptionFile,
    FeatureFile,
    ImageFolder,
    NoImage,
    Source,
    expand,
)
from .posts import POST_ID
from .summary import MissingImage, Summary


class Attach:
    """Replaces the references of a Doc by what was found for them.

    images_root, features, captions: where to look; see `Options`.
    by_id: the references are ids of images, and so are no paths to any.
    summary: is told what was found and what was not.
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
        """Give a Doc its images."""
        given = references(doc._.image)
        if self.captions is not None:
            wanted = expand(given, self.captions)
            self._caption(doc, self.captions, [str(one) for one in wanted if _is_name(one)])
        if given:
            self._attach(doc, given)
        return doc

    def _attach(self, doc: Doc, given: list[Any]) -> None:
        names = [one for one in given if _is_name(one)]
        if self.features is not None:
            doc._.image_features = _stacked(self._find(doc, self.features, names))
        if self.folder is not None:
            doc._.image = _one_or_all(self._find(doc, self.folder, given))
        elif self.features is not None or self.by_id:
            doc._.image = _one_or_all([one for one in given if not _is_name(one)])
        else:
            self._leave_out_what_climbs(doc, given)

    def _caption(self, doc: Doc, captions: CaptionFile, names: list[str]) -> None:
        """Look captions up by the names of the images, else by the id of the post.

        A post that brings no image misses none.
        """
        post_id = doc.user_data.get(POST_ID)
        found = []
        for name in names or [str(post_id)] * (post_id is not None):
            try:
                found.append(captions.find(name))
            except NoImage as error:
                if names or has_image(doc):
                    missing = MissingImage(self._name(doc), name, str(error))
                    self.summary.captions_missing.append(missing)
        self.summary.captions_matched += len(found)
        if found:
            doc._.image_text = "\n".join(found)

    def _leave_out_what_climbs(self, doc: Doc, given: list[Any]) -> None:
        """Wherever a path will be looked up: it is to stay below that folder."""
        kept = []
        for reference in given:
            if _is_name(reference) and climbs(str(reference)):
                self._miss(doc, reference, LEADS_OUT)
            else:
                kept.append(reference)
        if len(kept) < len(given):
            doc._.image = _one_or_all(kept)

    def _find(self, doc: Doc, source: Source, references: Iterable[Any]) -> list[Any]:
        found = []
        for reference in expand(references, source):
            if not _is_name(reference):
                found.append(reference)
                continue
            try:
                found.append(source.find(str(reference)))
                self.summary.images_matched += 1
            except NoImage as error:
                self._miss(doc, reference, str(error))
        return found

    def _miss(self, doc: Doc, reference: Any, reason: str) -> None:
        missing = MissingImage(self._name(doc), str(reference), reason)
        self.summary.images_missing.append(missing)

    def _name(self, doc: Doc) -> str:
        return str(doc.user_data.get(POST_ID) or f"post {self.summary.posts + 1}")


def _is_name(reference: Any) -> bool:
    return isinstance(reference, str | Path)


def _one_or_all(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else (found or None)


def _stacked(found: list[np.ndarray]) -> np.ndarray | None:
    """Descriptors of several images as regions, one after the other; None of none."""
    if len(found) < 2:
        return found[0] if found else None
    return np.concatenate([np.atleast_2d(features) for features in found])
