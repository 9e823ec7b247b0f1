from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from PIL import Image

from spacy_mner.corpus.docbin import write_docs

from ..evaluation.standin import make_pipeline, make_post


def write_posts(name, *posts):
    """Write posts of (gold label, image)."""
    vocab = spacy.blank("en").vocab
    write_docs([make_post(vocab, label, image) for label, image in posts], Path(name))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory: a model that predicts the names of images, and a corpus for it."""
    monkeypatch.chdir(tmp_path)
    make_pipeline().to_disk("model")
    spacy.blank("en").to_disk("blank")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "ORG.jpg")
    write_posts("d.spacy", ("ORG", "ORG.jpg"), (None, "ORG.jpg"), ("ORG", None))
    write_posts("one.spacy", ("ORG", "ORG.jpg"))
    return tmp_path
