"""A component that finds the same in every image."""

from __future__ import annotations

from spacy.language import Language

MARKUP = "<script>window.hacked = 1</script><img src=x onerror=window.hacked=1>"
OBJECTS = [
    {"label": "<b>car", "score": 0.91, "box": [0.25, 0.5, 0.75, 1.0]},
    {"label": "street\u202e"},
]


@Language.component("standin_image_reader")
def read_image(doc):
    """Find the same objects and text in every image; jaguars are an ORG without an image."""
    if doc._.image:
        doc._.image_objects, doc._.image_text = OBJECTS, f"JAGUAR {MARKUP}"
        doc.set_ents([entity for entity in doc.ents if entity.label_ != "ORG"])
        doc._.image_status = "used"
    return doc
