"""Checkpoints of `spacy train` that are there whole or not at all."""

from __future__ import annotations

import copy
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from spacy.language import Language

from ..errors import CheckpointWarning
from ..models.nonfinite import nonfinite_parameters


def build_atomic_checkpoints() -> Callable[[Language], Language]:
    """For `[training.before_to_disk]`: spaCy saves by `save_atomically` in place of `nlp.to_disk`.

    spaCy writes model-last through this hook, and copies it to model-best without one. So at every
    moment one of the two is whole: where model-best was being copied, model-last is the same model;
    where model-last was being exchanged, model-best is not touched.
    """
    return atomic_checkpoints


def atomic_checkpoints(nlp: Language) -> Language:
    """The same pipeline, that is written to disk by `save_atomically`."""
    saved = copy.copy(nlp)
    save: Any = partial(save_atomically, nlp)
    saved.to_disk = save  # type: ignore[method-assign]
    return saved


def save_atomically(nlp: Language, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
    """Write a pipeline into a folder beside `path` and, once it is on the disk, exchange the two.

    No system renames over a folder that holds something. So there is an instant in which what was
    at `path` lies beside it, as `NAME.old`; what was being written is left as `NAME.new`. The next
    call removes both.
    Raises ValueError where weights are not finite, and leaves what is at `path`; warns in place of
    it while another error is under way.
    """
    path = Path(path)
    if spoiled := _spoiled(nlp):
        _refuse(path, spoiled)
        return
    new, old = (path.with_name(f"{path.name}.{state}") for state in ("new", "old"))
    _remove(new, old)
    try:
        nlp.to_disk(new, exclude=exclude)
        _flush(new)
    except BaseException:
        _remove(new)
        raise
    if path.exists():
        path.rename(old)
    new.rename(path)
    _flush_folder(path.parent)
    _remove(old)


def _spoiled(nlp: Language) -> list[str]:
    models = {name: getattr(pipe, "model", None) for name, pipe in nlp.components}
    return [name for name, model in models.items() if nonfinite_parameters(model)]


def _refuse(path: Path, spoiled: list[str]) -> None:
    kept = "what is there stays" if path.exists() else "nothing is written"
    message = f"The weights of {', '.join(map(repr, spoiled))} are not finite: {path}: {kept}."
    # spaCy saves once more on its way out of an error, and that error is the one to tell.
    if sys.exc_info()[1] is None:
        raise ValueError(message)
    warnings.warn(message, CheckpointWarning, stacklevel=3)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def _flush(folder: Path) -> None:
    """Have everything in a folder written to the disk, so that a power cut tears nothing."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "r+b") as file:
                os.fsync(file.fileno())
        _flush_folder(parent)


def _flush_folder(folder: str | Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
