"""A pipeline with predictable output, in place of a trained one."""

from __future__ import annotations

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span


@Language.component("image_name_tagger")
def tag_by_image_name(doc):
    """Label the last token with the stem of the image's file name; no image, no entity."""
    label = (doc._.image or "").partition(".")[0]
    doc.set_ents([Span(doc, len(doc) - 1, len(doc), label=label)] if label else [])
    doc._.image_status = "unreadable: no such file" if label == "gone" else None
    doc._.image_status = doc._.image_status or ("used" if label else "absent")
    return doc


def make_pipeline():
    """Return a blank pipeline with the component above."""
    nlp = spacy.blank("en")
    nlp.add_pipe("image_name_tagger")
    return nlp


def make_post(vocab, label, image):
    """Return a post whose last token has this label (None: it is outside any entity)."""
    words = ["don't", "feed", "jaguar"]
    doc = Doc(vocab, words=words, ents=["O", "O", f"B-{label}" if label else "O"])
    doc._.image = image
    return doc
