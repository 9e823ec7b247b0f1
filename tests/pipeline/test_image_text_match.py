"""A pipeline that matches its posts with the text of their images: trained, saved, loaded."""

from __future__ import annotations

from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_mner.evaluation.image_ablation import set_images

from ..conftest import examples_of, make_doc, train

NAMES = ["blue heron", "old mill", "red door", "half moon"]


@pytest.fixture(scope="module")
def model(small_model: dict[str, Any]) -> dict[str, Any]:
    match = {"@architectures": "spacy_mner.ImageTextMatch.v1", "width": 16}
    return {**small_model, "embed": {"word": small_model["embed"]["word"], "match": match}}


def posts(nlp: Language, names: list[str]) -> list[Doc]:
    """Posts whose words are a name if the image text has them, capitalized."""
    docs = []
    for name in names:
        signs = [name.upper(), f"feed no {name}", "EXIT", None]
        for sign, tags in zip(signs, [["B-ORG", "I-ORG"], *[["O", "O"]] * 3], strict=True):
            docs.append(make_doc(nlp, ["the", *name.split(), "!"], None, ["O", *tags, "O"]))
            docs[-1]._.image_text = sign
    return docs


def found(nlp: Language, docs: list[Doc]) -> list[list[str]]:
    return [[entity.text for entity in nlp(doc).ents] for doc in docs]


def test_a_pipeline_learns_where_the_image_names_what_the_text_says(model):
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": model})
    train(nlp, examples_of(posts(nlp, NAMES)), steps=60)
    unseen = ["cold mountain", "night owl"]
    expected = [list(doc.ents) and [name] for name in unseen for doc in posts(nlp, [name])]
    assert found(nlp, posts(nlp, unseen)) == expected
    loaded = spacy.blank("en")
    loaded.add_pipe("multimodal_ner", config={"model": model})
    assert found(loaded.from_bytes(nlp.to_bytes()), posts(nlp, unseen)) == expected
    without = posts(nlp, unseen)
    set_images(without, "off")
    assert found(nlp, without) == [[]] * len(without)
