"""The labeling config of a project of Label Studio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from ..annotate.annotator import Annotation
from ..annotate.image_opener import MAX_IMAGES
from ..corpus.labelstudio import text_region


@dataclass(frozen=True)
class LabelingConfig:
    """Where the labels of a text are in a labeling config.

    labels_name, text_name: of the tags.
    text_key, image_keys: of the data of a task; of the first images of the config, as many as a
        post may have.
    """

    labels_name: str
    text_name: str
    labels: frozenset[str]
    text_key: str
    image_keys: tuple[str, ...]

    @classmethod
    def parse(cls, xml: str) -> LabelingConfig:
        """Raises ValueError for XML without labels of a text."""
        if "<!" in xml.replace("<!--", ""):
            raise ValueError("The labeling config has a document type or CDATA.")
        try:
            root = ElementTree.fromstring(xml)
        except ElementTree.ParseError as error:
            raise ValueError(f"The labeling config is not XML: {error}.") from None
        texts = {tag.get("name"): tag for tag in root.iter("Text")}
        for labels in root.iter("Labels"):
            text = texts.get(labels.get("toName"))
            if text is not None:
                keys = dict.fromkeys(_key(image) for image in root.iter("Image"))
                return cls(
                    labels_name=labels.get("name", ""),
                    text_name=text.get("name", ""),
                    labels=frozenset(one.get("value", "") for one in labels.iter("Label")),
                    text_key=_key(text),
                    image_keys=tuple(keys)[:MAX_IMAGES],
                )
        raise ValueError("The labeling config has no tag Labels whose toName is a tag Text.")

    def regions(self, text: str, annotation: Annotation) -> list[dict[str, Any]]:
        """Return the entities whose label the project has."""
        return [
            text_region(number, text, entity, self.labels_name, self.text_name)
            | {"score": entity["score"]}
            for number, entity in enumerate(annotation["entities"])
            if entity["label"] in self.labels
        ]


def _key(tag: ElementTree.Element) -> str:
    return (tag.get("value") or tag.get("valueList") or "").removeprefix("$")
