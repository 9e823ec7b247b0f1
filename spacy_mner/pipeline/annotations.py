"""Writes predictions into Docs."""

from __future__ import annotations

from spacy.tokens import Doc, Span

from ..models.predictions import PostPrediction


def write_prediction(doc: Doc, prediction: PostPrediction, *, overwrite: bool) -> None:
    """Set the entities and the attributes of a post.

    overwrite: replace the entities that the post has; otherwise they are kept, and the other
        predicted ones are added. Tokens outside of all entities are marked as such, not as missing.

    A predicted span that contains only white space is not an entity.
    """
    spans = [] if overwrite else list(doc.ents)
    existing = {token.i for entity in spans for token in entity}
    for start, end, label, score in prediction.entities:
        span = Span(doc, start, end, label)
        # White space is never annotated, and spaCy rejects it.
        if start not in existing and not span.text.isspace():
            span._.score = score
            spans.append(span)
    doc.set_ents(spans)
    doc._.image_status = str(prediction.image_status)
    doc._.modality_attention = prediction.modality_attention
    doc._.image_attention = prediction.image_attention
