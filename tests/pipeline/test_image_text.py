"""The component `image_text`, with readers that need no package."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc

from spacy_mner.errors import ImageWarning, LoadingError
from spacy_mner.pipeline.image_text import ImageText

from ..conftest import examples_of, gold_docs
from ..image_models import write_captioner

RED, BLUE, BLACK = (np.full((8, 8, 3), c, np.uint8) for c in ((250, 0, 0), (0, 0, 250), (0, 0, 0)))


def pipeline(**settings: Any) -> Language:
    nlp = spacy.blank("en")
    config = {"reader": {"@image_readers": "tests.ColorNames.v1"}, **settings}
    nlp.add_pipe("image_text", config=config)
    return nlp


def component(nlp: Language) -> ImageText:
    pipe = nlp.get_pipe("image_text")
    assert isinstance(pipe, ImageText)
    return pipe


def post(nlp: Language, image: Any = None, text: str | None = None) -> Doc:
    doc = nlp.make_doc("a post")
    doc._.image, doc._.image_text = image, text
    return doc


@pytest.mark.parametrize(
    ("image", "given", "text"),
    [
        (RED, None, "red"),
        ([RED, BLACK, BLUE], None, "red\nblue"),
        (BLACK, None, ""),
        (None, None, None),
        ([], None, None),
        (RED, "a caption", "a caption"),
        (RED, "", ""),
    ],
)
def test_the_text_of_the_images_is_set_where_a_post_has_none(image, given, text):
    nlp = pipeline()
    assert nlp(post(nlp, image, given))._.image_text == text


@pytest.mark.parametrize(
    ("image", "text"), [(b"torn", None), (b"", None), ("gone.png", None), ([b"torn", RED], "red")]
)
def test_an_image_that_cannot_be_read_is_a_warning_and_others_are_read(image, text):
    nlp = pipeline()
    docs = [post(nlp, image), post(nlp, BLUE), post(nlp, image)]
    with pytest.warns(ImageWarning) as caught:
        found = [doc._.image_text for doc in nlp.pipe(docs)]
    assert found == [text, "blue", text]
    assert len(caught) == 1


def test_files_are_read_upright_and_on_white(tmp_path):
    """EXIF orientation and transparency, as the tagger decodes them."""
    nlp = pipeline(images_root=str(tmp_path))
    clear = Image.new("RGBA", (8, 8), (250, 0, 0, 255))
    clear.putpixel((0, 0), (0, 0, 250, 0))
    clear.save(tmp_path / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(BLUE).save(tmp_path / "turned.jpg", exif=exif)
    docs = list(nlp.pipe([post(nlp, "clear.png"), post(nlp, Path("turned.jpg"))]))
    assert [doc._.image_text for doc in docs] == ["red", "blue"]


def test_an_image_is_read_once_by_its_content():
    nlp = pipeline()
    for _ in range(2):
        list(nlp.pipe([post(nlp, image) for image in (RED, RED.copy(), BLUE)]))
    assert component(nlp).model.n_read == 2


def test_a_post_that_fails_goes_to_the_error_handler():
    nlp = pipeline()
    failed = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failed.append((name, len(docs))))
    docs = [post(nlp, image) for image in (RED, np.full_like(RED, 255), BLUE)]
    assert [doc._.image_text for doc in nlp.pipe(docs)] == ["red", "blue"]
    assert failed == [("image_text", 1)]


def test_a_saved_component_keeps_its_settings(tmp_path):
    Image.fromarray(RED).save(tmp_path / "red.png")
    nlp = pipeline()
    component(nlp).images_root = tmp_path
    nlp.to_disk(tmp_path / "model")
    copies = [
        spacy.load(tmp_path / "model"),
        spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes()),
        pickle.loads(pickle.dumps(nlp)),
    ]
    for copy in copies:
        assert copy(post(copy, "red.png"))._.image_text == "red"
    override = {"components": {"image_text": {"images_root": "other"}}}
    assert component(spacy.load(tmp_path / "model", config=override)).images_root == Path("other")


@pytest.mark.parametrize("name", ["cfg", "model.msgpack", "manifest.json"])
def test_a_missing_file_is_a_loading_error(name, tmp_path):
    pipeline().to_disk(tmp_path / "model")
    (tmp_path / "model" / "image_text" / name).unlink()
    with pytest.raises(LoadingError, match="image_text"):
        spacy.load(tmp_path / "model")


@pytest.mark.parametrize("name", ["cfg", "model.msgpack", "manifest.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_file_is_a_loading_error(name, share, captioning, tmp_path):
    captioning.to_disk(tmp_path / "model")
    path = tmp_path / "model" / "image_text" / name
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(LoadingError, match=f"image_text: {name} is not what was saved"):
        spacy.load(tmp_path / "model")


def test_a_component_with_another_reader_is_a_loading_error(captioning):
    with pytest.raises(LoadingError, match=r"image_text: .* does not match the config"):
        component(captioning).from_bytes(component(pipeline()).to_bytes())


def test_truncated_bytes_are_a_loading_error():
    content = component(pipeline()).to_bytes()
    with pytest.raises(LoadingError, match="image_text"):
        component(pipeline()).from_bytes(content[:-3])


@pytest.fixture
def captioning(tmp_path: Path) -> Language:
    pytest.importorskip("transformers")
    name = str(write_captioner(tmp_path / "captioner"))
    return pipeline(reader={"@image_readers": "spacy_mner.Captioner.v1", "name": name})


def test_a_saved_pipeline_holds_the_weights_of_its_reader(captioning, tmp_path):
    expected = captioning(post(captioning, RED))._.image_text
    captioning.to_disk(tmp_path / "model")
    content = captioning.to_bytes()
    (tmp_path / "captioner").rename(tmp_path / "gone")
    copies = [
        spacy.load(tmp_path / "model"),
        spacy.blank("en").from_config(captioning.config).from_bytes(content),
    ]
    copies.append(pickle.loads(pickle.dumps(copies[1])))
    for copy in copies:
        assert copy(post(copy, RED))._.image_text == expected != ""


def test_results_are_cached_on_disk_in_training_only(tmp_path):
    nlp, again = pipeline(), pipeline()
    for one in (nlp, again):
        one.initialize()
        component(one).initialize(lambda: [], image_cache=str(tmp_path / "cache"))
        assert one(post(one, RED))._.image_text == "red"
    assert (component(nlp).model.n_read, component(again).model.n_read) == (1, 0)
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert loaded(post(loaded, BLUE))._.image_text == "blue"
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_the_tagger_reads_the_text_while_training_and_afterwards(untrained, monkeypatch):
    config = {"reader": {"@image_readers": "tests.ColorNames.v1"}, "images_root": "/"}
    untrained.add_pipe("image_text", first=True, config=config)
    examples = examples_of(gold_docs(untrained))
    for example in examples:
        example.predicted._.image = RED
    untrained.initialize(lambda: examples)
    tagger, seen = untrained.get_pipe("multimodal_ner"), []
    update = tagger.update

    def update_and_record(copies, **settings):  # spaCy trains on copies of the examples
        seen.extend(example.predicted._.image_text for example in copies)
        return update(copies, **settings)

    monkeypatch.setattr(tagger, "update", update_and_record)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ImageWarning)
        untrained.update(examples, annotates=["image_text"])
    assert seen == ["red"] * len(examples)
    assert untrained(post(untrained, RED))._.image_text == "red"


PROGRAM = """
import multiprocessing, sys, numpy as np, spacy
if __name__ == "__main__":
    model, n_process, method = sys.argv[1:]
    multiprocessing.set_start_method(method)
    nlp = spacy.load(model)
    docs = [nlp.make_doc("a post") for _ in range(6)]
    for i, doc in enumerate(docs):
        doc._.image = np.full((8, 8, 3), (10 * i, 0, 200), np.uint8)
    docs = nlp.pipe(docs, n_process=int(n_process), batch_size=2)
    print([doc._.image_text for doc in docs])
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_the_same_text(captioning, method, tmp_path):
    captioning.to_disk(tmp_path / "model")
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(n_process: str) -> str:
        command = [sys.executable, "program.py", "model", n_process, method]
        found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
        assert found.returncode == 0, found.stderr
        return found.stdout.strip().splitlines()[-1]

    assert run("2") == run("1")
