from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import spacy
import srsly
from PIL import Image
from spacy.tokens import Doc, DocBin, Span

from spacy_mner import extensions
from spacy_mner.images.image_objects import read_objects
from spacy_mner.images.reference import open_image

NLP = spacy.blank("en")


def test_attributes_are_none_by_default():
    doc = NLP.make_doc("a post")
    assert all(doc._.get(name) is None for name in extensions.DOC_ATTRIBUTES)
    assert doc[0:1]._.score is None


def test_scores_and_attention_belong_to_the_label_and_the_tokens_they_were_computed_for():
    doc = NLP.make_doc("a post of Bob")
    span = Span(doc, 3, 4, "PER")
    span._.score = 0.5
    doc._.modality_attention = {"word": np.ones(4, np.float32)}
    with pytest.warns(UserWarning, match="W101") as warned:
        joined = Doc.from_docs([doc, doc])
    assert len({str(warning.message) for warning in warned}) == 1
    [joined] = DocBin(docs=[joined], store_user_data=True).get_docs(doc.vocab)
    assert [Span(joined, i, i + 1, "PER")._.score for i in (3, 7)] == [0.5, 0.5]
    for label, score in (("PER", 0.5), ("ORG", None), ("PER", 0.5)):
        assert Span(doc, 3, 4, label)._.score == score
    [copy] = DocBin(docs=[doc], store_user_data=True).get_docs(doc.vocab)
    assert len(copy._.modality_attention["word"]) == 4
    with copy.retokenize() as retokenizer:  # into as many tokens as before
        retokenizer.merge(copy[0:2])
        retokenizer.split(copy[3], ["B", "ob"], [copy[3], copy[3]])
    assert copy._.modality_attention is None
    offsets, (attention, _) = extensions.computed_attention(copy)
    assert np.array_equal(offsets, extensions.token_offsets(doc)) and len(attention["word"]) == 4


def test_registering_again_keeps_the_default_of_a_user():
    Doc.remove_extension("image")
    Doc.set_extension("image", default="mine")
    try:
        extensions.register()
        assert NLP.make_doc("a post")._.image == "mine"
    finally:
        Doc.set_extension("image", default=None, force=True)
    assert Span.has_extension("score")


@pytest.mark.parametrize("value", [["a cat"], b"a cat", 1, np.ones(3)])
def test_a_caption_is_a_string(value):
    doc = NLP.make_doc("a")
    with pytest.raises(TypeError, match="takes a string or None"):
        doc._.image_text = value
    assert doc._.image_text is None


def test_a_caption_of_another_type_in_a_file_is_copied():
    source, target = NLP.make_doc("a"), NLP.make_doc("b")
    source.user_data[extensions.IMAGE_TEXT] = ["a cat"]
    extensions.copy_image(source, target)
    assert target._.image_text == ["a cat"]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("image", "a.jpg"),
        ("image_features", np.ones(3)),
        ("image_objects", ["cat"]),
        ("image_text", "a red car"),
    ],
)
def test_an_image_and_its_caption_are_copied_and_dropped(attribute, value):
    source, target = NLP.make_doc("a"), NLP.make_doc("b")
    source._.set(attribute, value)
    assert extensions.has_image(source) == (attribute != "image_text")
    extensions.copy_image(source, target)
    assert target._.get(attribute) is value
    extensions.drop_image(target)
    assert target._.get(attribute) is None and source._.get(attribute) is value


@pytest.mark.parametrize("attribute", ["image", "image_objects"])
@pytest.mark.parametrize("value", [[], ()], ids=str)
def test_an_empty_list_is_no_image(attribute, value):
    doc = NLP.make_doc("a")
    doc._.set(attribute, value)
    assert not extensions.has_image(doc)


def test_captions_and_objects_survive_a_docbin():
    doc = NLP.make_doc("a")
    doc._.image_text = "ein roter Wagen 🚗\nzweite Zeile"
    vector = np.float32([0.1, 2])
    doc._.image_objects = ["cat", {"label": "dog", "score": 0.5, "vector": vector}]
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    [read] = DocBin().from_bytes(data).get_docs(NLP.vocab)
    assert read._.image_text == doc._.image_text
    cat, dog = read_objects(read._.image_objects)
    assert (cat.label, dog.label, dog.score) == ("cat", "dog", 0.5)
    np.testing.assert_array_equal(dog.vector, vector)


def through_msgpack(image):
    return srsly.msgpack_loads(srsly.msgpack_dumps({"image": image}))["image"]


MODES = ["RGB", "RGBA", "L", "LA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "1", "RGBX"]


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_of_any_mode_is_serialized_as_rgb(mode):
    image = Image.new(mode, (3, 2))
    again = through_msgpack(image)
    np.testing.assert_array_equal(np.asarray(again), open_image(image, None).pixels())


def test_a_pil_image_is_serialized_upright():
    image = Image.new("RGB", (3, 2))
    image.getexif()[0x0112] = 6
    again = through_msgpack(image)
    assert again.size == (2, 3)


def test_a_closed_pil_image_is_serialized_as_an_empty_file(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "x.png")
    image = Image.open(tmp_path / "x.png")
    image.close()
    assert through_msgpack(image) == b""


@pytest.mark.parametrize("format", ["EPS", "GIF"])
def test_a_png_entry_of_another_format_is_not_opened(format):
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, format)
    assert through_msgpack({"__mner_image__": buffer.getvalue()}) == buffer.getvalue()


@pytest.mark.parametrize("name", ["__mner_image__", "__mner_path__"])
def test_a_value_of_another_codec_is_unchanged(name):
    assert through_msgpack({name: 5}) == {name: 5}


ASSIGNED = """
import spacy
from spacy.tokens import Doc, Span, Token

{setup}
assigned = spacy.language.Language.get_factory_meta("multimodal_ner").assigns
for name in assigned:
    owner, _, attribute = name.partition("._.")
    if attribute:
        assert {{"doc": Doc, "span": Span}}[owner].has_extension(attribute), name
print(sorted(name for name in assigned if "._." in name))
"""


@pytest.mark.parametrize(
    "setup",
    [
        'spacy.blank("en").add_pipe("multimodal_ner")',
        'import spacy_mner; spacy.blank("en").create_pipe("multimodal_ner")',
    ],
)
def test_the_factory_registers_every_attribute_that_it_assigns(setup):
    result = subprocess.run(
        [sys.executable, "-c", ASSIGNED.format(setup=setup)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(
        ["doc._.image_attention", "doc._.image_status", "doc._.modality_attention", "span._.score"]
    )


@pytest.mark.parametrize("value", ["PER", [1], [None]])
def test_annotated_labels_are_a_list_of_strings(value):
    with pytest.raises(TypeError, match="annotated_labels"):
        spacy.blank("xx").make_doc("hi")._.annotated_labels = value


def test_annotated_labels_survive_a_docbin():
    doc = spacy.blank("xx").make_doc("hi")
    doc._.annotated_labels = {"PER", "LOC"}
    [copy] = DocBin(docs=[doc], store_user_data=True).get_docs(doc.vocab)
    assert list(copy._.annotated_labels) == ["LOC", "PER"]
