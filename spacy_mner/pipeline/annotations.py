"""Writes predictions into Docs."""

from __future__ import annotations

from dataclasses import replace

from spacy.tokens import Doc, Span

from ..models.predictions import PostPrediction


def write_prediction(doc: Doc, prediction: PostPrediction, *, overwrite: bool) -> None:
    """Set the entities and the attributes of a post.

    overwrite: replace the entities that the post has; otherwise they are kept, and the predicted
        ones are added. Tokens outside of all entities are marked as such, not as missing.

    A predicted span that contains only white space is not an entity.
    """
    spans = [] if overwrite else list(doc.ents)
    for start, end, label, score in prediction.entities:
        span = Span(doc, start, end, label)
        if not span.text.isspace():  # white space is never annotated, and spaCy rejects it
            span._.score = score
            spans.append(span)
    doc.set_ents(spans)
    doc._.image_status = str(prediction.image_status)
    doc._.modality_attention = prediction.modality_attention
    doc._.image_attention = prediction.image_attention


def without_existing(prediction: PostPrediction, doc: Doc) -> PostPrediction:
    """The prediction without the entities that the post has already."""
    existing = {token.i for entity in doc.ents for token in entity}
    entities = [entity for entity in prediction.entities if entity[0] not in existing]
    return replace(prediction, entities=entities)
