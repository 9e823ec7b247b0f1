from __future__ import annotations

import numpy as np
import pytest
import spacy
import srsly
from PIL import Image
from spacy.tokens import Doc, Span

from spacy_mner import extensions

NLP = spacy.blank("en")


def test_attributes_begin_empty():
    doc = NLP.make_doc("a post")
    assert all(doc._.get(name) is None for name in extensions.DOC_ATTRIBUTES)
    assert doc[0:1]._.score is None


def test_registering_again_leaves_a_users_own_default_alone():
    Doc.remove_extension("image")
    Doc.set_extension("image", default="mine")
    try:
        extensions.register()
        assert NLP.make_doc("a post")._.image == "mine"
    finally:
        Doc.set_extension("image", default=None, force=True)
    assert Span.has_extension("score")


@pytest.mark.parametrize("attribute, value", [("image", "a.jpg"), ("image_features", np.ones(3))])
def test_a_picture_is_copied_and_dropped(attribute, value):
    source, target = NLP.make_doc("a"), NLP.make_doc("b")
    source._.set(attribute, value)
    assert extensions.has_image(source)
    extensions.copy_image(source, target)
    assert target._.get(attribute) is value
    extensions.drop_image(target)
    assert not extensions.has_image(target)
    assert extensions.has_image(source)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16", "F"])
def test_a_pil_image_travels_in_any_mode(mode):
    image = Image.new("RGB", (3, 2), (200, 30, 40)).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.full((2, 3), 40_000, np.uint16))
    again = srsly.msgpack_loads(srsly.msgpack_dumps({"image": image}))["image"]
    assert again.size == (3, 2)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_pil_image_keeps_its_orientation(mode):
    image = Image.new(mode, (3, 2))
    image.getexif()[0x0112] = 6
    again = srsly.msgpack_loads(srsly.msgpack_dumps({"image": image}))["image"]
    assert again.getexif()[0x0112] == 6
