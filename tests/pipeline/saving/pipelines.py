"""Small pipelines of every kind of part, and their answers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import srsly
from spacy.language import Language
from spacy.vectors import Vectors
from spacy.vocab import Vocab

from spacy_mner.pipeline.saving import _checksum

from ...conftest import ANIMALS_AND_CARS, examples_of, gold_docs, make_doc

FILES = ["cfg", "featurizers.msgpack", "manifest.json", "network.safetensors", "tok2vec"]
PARTS = [name for name in FILES if name != "manifest.json"]
NAME = "multimodal_ner"
KEYS = ["hi", "my", "Bob", *ANIMALS_AND_CARS]
CONFIG = "components.multimodal_ner.model"


def table(seed: int = 0, *, keys: list[str] = KEYS, width: int = 6) -> dict[str, Any]:
    data = np.random.default_rng(seed).normal(size=(len(KEYS), width)).astype(np.float32)
    return {"data": data, "keys": keys}


def floret() -> dict[str, Any]:
    names = {"mode": "floret", "minn": 2, "maxn": 3, "hash_count": 2, "bow": "<", "eow": ">"}
    return {"data": table()["data"], **names}


def set_vectors(vocab: Vocab, arguments: dict[str, Any]) -> None:
    keys = arguments.get("keys")
    hashes = None if keys is None else [vocab.strings.add(key) for key in keys]
    arguments = {**arguments, "keys": hashes}
    vocab.vectors = Vectors(strings=vocab.strings, **arguments)


def make_pipeline(
    model: dict[str, Any], images: Path, vectors: dict[str, Any], seed: int = 0
) -> Language:
    """A pipeline of every kind of part, initialized and not trained."""
    spacy.util.fix_random_seed(seed)
    nlp = spacy.blank("en")
    set_vectors(nlp.vocab, vectors)
    nlp.add_pipe(NAME, config={"model": model, "images_root": str(images)})
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    return nlp


def change_manifest(folder: Path, *changed: str, **entries: Any) -> None:
    """A valid manifest with other entries, and for files that were changed."""
    manifest = {**srsly.read_json(folder / "manifest.json"), **entries}
    for name in changed:
        manifest["parts"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest["checksum"] = _checksum(manifest)
    srsly.write_json(folder / "manifest.json", manifest)


def answers(nlp: Language) -> list[Any]:
    docs = nlp.pipe([make_doc(nlp, ["hi", "Bob", "Dylan", "ram"], p) for p in ("car.png", None)])
    return [(doc.to_json()["ents"], doc._.image_status, answer_scores(doc)) for doc in docs]


def answer_scores(doc: spacy.tokens.Doc) -> list[float]:
    return [entity._.score for entity in doc.ents]
