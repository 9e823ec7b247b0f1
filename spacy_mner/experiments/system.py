"""A system: a name, and the few overrides that make it of a template."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .compose import Overrides, compose, modalities_of

MODEL = "components.multimodal_ner.model"
TEXT = f"{MODEL}.embed.text"
WORD = f"{MODEL}.embed.word"
CHAR = f"{MODEL}.embed.char"
IMAGE = f"{MODEL}.embed.image"
OBJECTS = f"{MODEL}.embed.objects"
AUGMENTATION = f"{MODEL}.embed.augmentation"
FUSE = f"{MODEL}.fuse"
ENCODE = f"{MODEL}.encode"
DECODE = f"{MODEL}.decode"

# Posts that bring `doc._.image_features` need no encoder.
DESCRIPTORS = {f"{IMAGE}.encoder": None}
# Posts that bring `doc._.image_objects` need no detector.
GIVEN_OBJECTS = {f"{OBJECTS}.detector": None}


@dataclass(frozen=True)
class System:
    """A row of a table.

    modalities: what it reads, in a letter each.
    overrides: what makes it of its template, one of those that `spacy-mner init` writes.
    """

    key: str
    modalities: str
    title: str
    overrides: Overrides
    template: str = "base"

    @cached_property
    def embed(self) -> dict[str, Any]:
        """The blocks of its modalities by name; None for one that is left out."""
        return modalities_of(compose(self.overrides, template=self.template))

    def reads(self, modality: str) -> bool:
        """Whether it has a modality of a name."""
        return self.embed.get(modality) is not None

    @property
    def sees_images(self) -> bool:
        """Whether anything of an image reaches it: regions, objects, or text about it."""
        has_context = self.reads("text") and bool(self.embed["text"]["context"])
        return self.reads("image") or self.reads("objects") or has_context
