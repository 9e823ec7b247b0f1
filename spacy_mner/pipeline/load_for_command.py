"""Loading a pipeline for a command."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.language import Language
from spacy.util import import_file
from thinc.api import Config

from ..errors import LoadingError, UsageError

# The files of spaCy itself, whose errors for damaged files do not name the file.
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

# Pipelines in the output folder of a training, the better one first.
TRAINED = ("model-best", "model-last")

# The errors of spaCy for names of functions and of factories that are not registered.
UNREGISTERED = re.compile(r"\[E(893|002)\]")


def load_pipeline(model: str, gpu_id: int = -1, code: Path | None = None) -> Language:
    """Load a pipeline onto a GPU, or onto the CPU (-1).

    code: Python file that is imported first, for the functions that the config names (`--code`).

    Raises UsageError for a file that cannot be imported, and LoadingError instead of the various
    errors that spaCy raises for a pipeline that cannot be loaded.
    """
    import spacy
    from spacy.cli._util import setup_gpu

    if code is not None:
        import_code(code)
    try:
        setup_gpu(gpu_id, silent=True)
        return spacy.load(model)
    # For truncated files, spaCy and msgpack raise many types of exceptions.
    except Exception as error:
        if "[E050]" in str(error):
            raise no_pipeline(model) from error
        reason = _reason(Path(model), str(error))
        raise LoadingError(f"Cannot load the pipeline {model}: {reason}") from error


def no_pipeline(model: str) -> LoadingError:
    """Return the error for a model that is neither a package nor a folder."""
    return LoadingError(f"There is no pipeline {model}: name an installed package or a folder.")


def _reason(model: Path, error: str) -> str:
    """Explain an error of spaCy."""
    if (damaged := damaged_file(model)) is not None:
        return f"{damaged} is damaged: {error}"
    if not (model / "meta.json").exists():
        for inside in (model / name for name in TRAINED):
            if (inside / "meta.json").is_file():
                return f"it is the output folder of a training. Pass a pipeline in it: {inside}"
    if UNREGISTERED.search(error):
        # The names that are registered are listed last, and are hundreds.
        shown = error.partition("Available ")[0].strip()
        return f"pass the file that registers it: --code FILE. {shown}"
    return error


def import_code(path: Path) -> None:
    """Import a Python file, as `--code` of spaCy's own commands does. Raises UsageError."""
    if not path.is_file():
        raise UsageError(f"--code {path}: there is no such file.")
    try:
        import_file("python_code", path)
    except Exception as error:
        raise UsageError(f"--code {path}: {type(error).__name__}: {error}") from error


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
