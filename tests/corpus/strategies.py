"""Strategies of annotated Docs for round trips between formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.corpus.posts import ReadContext, make_doc
from spacy_mner.corpus.record import as_objects
from spacy_mner.corpus.tags import parse_tag, read_entities

NLP = spacy.blank("en")

any_words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)
# Emoji of one and of several code points, combining accents, line breaks, and the exported form of
# a line break in Label Studio.
odd_words = st.sampled_from(
    ["🎸", "👨\u200d👩\u200d👧", "e\u0301", "\r\n", "\n", "\\\\n", "\xa0", "ha", "猫"]
)
tags = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "missing"])
images = st.sampled_from(
    [
        None,
        "a.jpg",
        "day 1/ä#?&+%41.jpg",
        ["a.jpg", "b.jpg"],
        b"\x89PNG\r\n\x1a\n",
        [b"GIF8", "a.jpg"],
    ]
)


# As written to JSON.
OBJECTS = [
    None,
    [],
    ["猫", {"label": "dog", "score": 0.1, "box": [0.0, 0.25, 0.5, 1.0], "vector": [0.5, -2.0]}],
]


@st.composite
def annotated_docs(draw: st.DrawFn) -> Doc:
    words = any_words | odd_words
    tokens = draw(st.lists(st.tuples(words, st.booleans(), tags), min_size=1, max_size=8))
    repaired = read_entities([parse_tag(tag) for _, _, tag in tokens], "open")
    missing = [i for i, (_, _, tag) in enumerate(tokens) if tag == "missing"]
    return make_doc(
        ReadContext(NLP),
        words=[word for word, _, _ in tokens],
        spaces=draw(st.sampled_from([None, [space for _, space, _ in tokens]])),
        entities=repaired.entities if draw(st.booleans()) else None,
        missing=missing,
        post_id=draw(st.sampled_from([None, "猫", "17_06_1"])),
        image=draw(images),
        image_features=draw(st.sampled_from([None, np.array([0.5, -2], dtype="float32")])),
        image_objects=draw(st.sampled_from(OBJECTS)),
        image_text=draw(st.sampled_from([None, "", "a cat 猫\nasleep"])),
    )


def doc_of(*words: str, **values: Any) -> Doc:
    """Return the Doc of a post with these words."""
    return make_doc(ReadContext(NLP), list(words), **values)


def docs_of(path: Path) -> list[Doc]:
    """Read the Docs of a `.spacy` file."""
    return list(read_docs(path, NLP.vocab))


def write_jsonl(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def words_of(doc: Doc) -> list[str]:
    return [token.text for token in doc]


def entities_of(doc: Doc) -> list[tuple[str, str]]:
    """Return text and label of each entity."""
    return [(entity.text, entity.label_) for entity in doc.ents]


def tags_of(doc: Doc) -> list[str]:
    """Return the BIO tag of each token; empty for missing annotation."""
    return [f"{token.ent_iob_}-{token.ent_type_}".strip("-") for token in doc]


def id_of(doc: Doc) -> str | None:
    return doc.user_data.get("spacy_mner.post_id")


def content(doc: Doc) -> dict[str, Any]:
    """Return all values of a Doc in a comparable form."""
    features = doc._.image_features
    return {
        "tokens": [(token.text, token.whitespace_) for token in doc],
        "has_unknown_spaces": doc.has_unknown_spaces,
        "annotation": [(token.ent_iob_, token.ent_type_) for token in doc],
        "id": id_of(doc),
        "image": doc._.image,
        "image_features": None if features is None else features.tolist(),
        "image_objects": None if doc._.image_objects is None else as_objects(doc._.image_objects),
        "image_text": doc._.image_text,
    }
