"""Saved pipelines to damage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import spacy

from spacy_mner.pipeline.multimodal_ner import MultimodalNER

from ...conftest import examples_of, gold_docs, make_doc
from .pipelines import NAME, make_pipeline, table


@pytest.fixture(scope="session")
def model(small_model: dict[str, Any]) -> dict[str, Any]:
    """The small network with a tok2vec of its own beside the other modalities."""
    tok2vec = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": 8,
        "depth": 1,
        "embed_size": 50,
        "window_size": 1,
        "maxout_pieces": 2,
        "subword_features": False,
    }
    return {**small_model, "tok2vec": tok2vec, "tok2vec_width": 16}


@pytest.fixture(scope="session")
def saved(model: dict[str, Any], images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline that is unchanged."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    make_pipeline(model, images, table()).to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def sister(model: dict[str, Any], images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model of the same shapes: labels in another order, another word, other weights."""
    folder = tmp_path_factory.mktemp("sister") / "model"
    nlp = make_pipeline(model, images, table(), seed=1)
    others = {"hi": "yo", "B-PER": "B-ZOO", "I-PER": "I-ZOO"}
    docs = []
    for doc in gold_docs(nlp):
        tags = ["-".join(filter(None, (token.ent_iob_, token.ent_type_))) for token in doc]
        words = [others.get(token.text, token.text) for token in doc]
        docs.append(make_doc(nlp, words, doc._.image, [others.get(tag, tag) for tag in tags]))
    nlp.initialize(lambda: examples_of(docs))
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def damaged(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved pipeline, to be damaged."""
    return shutil.copytree(saved, tmp_path / "model")


@pytest.fixture(scope="session")
def reader(saved: Path) -> MultimodalNER:
    """A component that fits the saved one, to load into many times."""
    component = spacy.load(saved).get_pipe(NAME)
    assert isinstance(component, MultimodalNER)
    return component
