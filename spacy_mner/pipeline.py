"""Loading a pipeline for a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.language import Language
from thinc.api import Config

from .corpus.errors import CorpusError

# spaCy's own files, whose damage it tells without saying where.
FILES: dict[str, Callable[[Path], Any]] = {
    "config.cfg": lambda path: Config().from_disk(path, interpolate=False),
    "meta.json": srsly.read_json,
    "tokenizer": srsly.read_msgpack,
    "vocab/key2row": srsly.read_msgpack,
    "vocab/lookups.bin": srsly.read_msgpack,
    "vocab/strings.json": srsly.read_json,
    "vocab/vectors": lambda path: np.load(path, mmap_mode="r", allow_pickle=False),
    "vocab/vectors.cfg": srsly.read_json,
}


def load_pipeline(model: str, gpu_id: int = -1) -> Language:
    """Load a pipeline onto a GPU, or onto the CPU (-1).

    Raises CorpusError in place of the several errors spaCy has for a pipeline that does not load.
    """
    import spacy
    from spacy.cli._util import setup_gpu

    try:
        setup_gpu(gpu_id, silent=True)
        return spacy.load(model)
    # What is cut off makes spaCy and msgpack raise nearly anything.
    except Exception as error:
        damaged = damaged_file(Path(model))
        where = "" if damaged is None else f"{damaged} is damaged: "
        raise CorpusError(f"Cannot load the pipeline {model}: {where}{error}") from error


def damaged_file(folder: Path) -> str | None:
    """The first of spaCy's own files in a folder that cannot be read."""
    for name, read in FILES.items():
        path = folder / name
        try:
            if path.is_file():
                read(path)
        except Exception:
            return name
    return None
