"""A corpus and its images are moved to different folders."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import spacy
from PIL import Image

from spacy_mner.corpus.convert import Options, convert
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.extensions import image_as_png
from spacy_mner.images.reference import open_image, references
from spacy_mner.training.reader import MultimodalCorpus

NLP = spacy.blank("en")
FORMATS = [".spacy", ".jsonl", ".json"]
COLORS = {"red.png": 250, "day 1/ä#?&+%41.png": 90, "b.png": 10}


@pytest.fixture
def home(tmp_path):
    """A folder with images, and a corpus with absolute and relative paths to them."""
    folder = tmp_path / "old" / "images"
    for name, red in COLORS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), red, np.uint8)).save(folder / name)
    names = list(COLORS)
    images = [
        names[0],
        str(folder / names[1]),
        [str(folder / names[2]), names[0]],
        None,
    ]
    records = [
        {"id": str(number), "text": "in Rio", "image": image, "spans": [
            {"start": 3, "end": 6, "label": "LOC"}
        ]}
        for number, image in enumerate(images)
    ]  # fmt: skip
    (tmp_path / "old" / "posts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return tmp_path / "old"


def reds(image, root):
    """Return the red value of each image of a post."""
    return [int(open_image(one, root).pixels()[0, 0, 0]) for one in references(image)]


EXPECTED = [[250], [90], [10, 250], []]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("again", FORMATS)
def test_corpus_and_images_can_be_moved_separately(home, tmp_path, suffix, again):
    options = Options(images_root=home / "images")
    convert(home / "posts.jsonl", home / "corpus" / f"posts{suffix}", options)
    shutil.move(home / "corpus", tmp_path / "new corpus")
    shutil.move(home / "images", tmp_path / "elsewhere")
    shutil.rmtree(home)
    moved = tmp_path / "new corpus" / f"posts{suffix}"
    for file in moved.parent.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()

    convert(moved, tmp_path / f"second{again}")
    options = Options(images_root=tmp_path / "elsewhere")
    summary = convert(tmp_path / f"second{again}", tmp_path / "last.spacy", options)
    assert (summary.images_matched, summary.images_missing) == (4, [])
    assert summary.entities == {"LOC": 4}

    root = tmp_path / "elsewhere"
    docs = list(read_docs(tmp_path / "last.spacy", NLP.vocab, root))
    assert [reds(doc._.image, None) for doc in docs] == EXPECTED
    assert [doc.user_data["spacy_mner.post_id"] for doc in docs] == ["0", "1", "2", "3"]
    examples = list(MultimodalCorpus(tmp_path / "last.spacy", root)(NLP))
    assert [reds(example.predicted._.image, None) for example in examples] == EXPECTED
    # Without images_root of the reader, that of the component is used.
    bare = list(MultimodalCorpus(tmp_path / "last.spacy")(NLP))
    assert [reds(example.predicted._.image, root) for example in bare] == EXPECTED


def test_paths_in_docs_become_relative(home, tmp_path):
    doc = NLP("a")
    doc._.image = [home / "images" / "b.png", Image.open(home / "images" / "red.png")]
    image = image_as_png(doc._.image[1])
    spacy.tokens.DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "in.spacy")
    options = Options(images_root=home / "images")
    convert(tmp_path / "in.spacy", tmp_path / "out.jsonl", options)
    convert(tmp_path / "out.jsonl", tmp_path / "out.spacy")
    [read] = read_docs(tmp_path / "out.spacy", NLP.vocab)
    assert read._.image == ("b.png", image)
