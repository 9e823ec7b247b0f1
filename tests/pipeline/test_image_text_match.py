"""A pipeline that matches its posts with the text of their images: trained, saved, loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from PIL import Image, ImageDraw, ImageFont
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


PROGRAM = """
import sys, spacy
nlp = spacy.load(sys.argv[1])
doc = nlp.make_doc("the old mill !")
doc._.image = sys.argv[2]
doc = nlp(doc)
print(doc._.image_text, bool(doc._.image_objects), doc._.image_status, *doc.ents)
"""


@pytest.mark.slow
def test_a_package_holds_the_components_that_annotate_the_images(model, tmp_path: Path):
    pytest.importorskip("rapidocr_onnxruntime")
    image = Image.new("RGB", (400, 120), "white")
    font = ImageFont.load_default(60)
    ImageDraw.Draw(image).text((200, 60), "OLD MILL", fill="black", font=font, anchor="mm")
    image.save(tmp_path / "sign.png")
    nlp = spacy.blank("en")
    nlp.add_pipe("image_text")
    nlp.add_pipe("image_objects", config={"detector": {"threshold": 0.01}})
    objects = {"@architectures": "spacy_mner.ObjectEmbedding.v2", "width": 16}
    embed = {**model["embed"], "objects": objects}
    nlp.add_pipe("multimodal_ner", config={"model": {**model, "embed": embed}})
    docs = posts(nlp, NAMES)
    for doc in docs:
        doc._.image_objects = ["sign"]
    with nlp.select_pipes(enable="multimodal_ner"):
        train(nlp, examples_of(docs), steps=60)
    nlp.to_disk(tmp_path / "model")
    command = ["spacy", "package", tmp_path / "model", tmp_path, "--name", "signs"]
    subprocess.run([sys.executable, "-m", *map(str, command), "--build", "none"], check=True)
    [package] = tmp_path.glob("en_signs-*/en_signs/en_signs-*")
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, package, tmp_path / "sign.png"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[0].startswith("OLD MILL True ")
    assert result.stdout.strip().endswith("old mill")
