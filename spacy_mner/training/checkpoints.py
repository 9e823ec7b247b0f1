"""Atomic checkpoints for `spacy train`: complete or absent."""

from __future__ import annotations

import copy
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from spacy.language import Language

from ..errors import CheckpointWarning
from ..models.nonfinite import nonfinite_parameters
from ..utils.caller import warn_caller


def build_atomic_checkpoints() -> Callable[[Language], Language]:
    """For `[training.before_to_disk]`: spaCy saves with `save_atomically`, not `nlp.to_disk`.

    spaCy writes model-last through this hook and copies it to model-best without one. At every
    moment one of the two is complete: while model-best is copied, model-last is the same model;
    while model-last is replaced, model-best is not touched.
    """
    return atomic_checkpoints


def atomic_checkpoints(nlp: Language) -> Language:
    """The same pipeline, with `save_atomically` as its `to_disk`."""
    saved = copy.copy(nlp)
    save: Any = partial(save_atomically, nlp)
    saved.to_disk = save  # type: ignore[method-assign]
    return saved


def save_atomically(nlp: Language, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
    """Write a pipeline into a folder beside `path`, flush it to disk, and replace `path` with it.

    A folder with content cannot be replaced by a rename. For an instant, the previous checkpoint
    is `NAME.old` and the new one `NAME.new`. The next call removes what an interrupted one left.
    Raises ValueError where weights are not finite and leaves `path` as it is; while another
    exception is handled, it warns instead.
    """
    path = Path(path)
    if components := _nonfinite_components(nlp):
        _refuse(path, components)
        return
    new, old = (path.with_name(f"{path.name}.{state}") for state in ("new", "old"))
    _remove(new, old)
    try:
        nlp.to_disk(new, exclude=exclude)
        _flush(*new.rglob("*"), new)
    except BaseException:
        _remove(new)
        raise
    if path.exists():
        path.rename(old)
    new.rename(path)
    _flush(path.parent)
    _remove(old)


def _nonfinite_components(nlp: Language) -> list[str]:
    models = {name: getattr(pipe, "model", None) for name, pipe in nlp.components}
    return [name for name, model in models.items() if nonfinite_parameters(model)]


def _refuse(path: Path, components: list[str]) -> None:
    kept = "is left as it is" if path.exists() else "is not written"
    message = (
        f"The weights of {', '.join(map(repr, components))} are not finite: {path} {kept}. "
        "Lower training.optimizer.learn_rate, or set its grad_clip."
    )
    # spaCy saves again while it handles an exception, which must not be replaced by this one.
    if sys.exc_info()[1] is None:
        raise ValueError(message)
    warn_caller(message, CheckpointWarning)


def _remove(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def _flush(*paths: Path) -> None:
    """Flush files and folders to disk, so that a power failure truncates no file."""
    for path in paths:
        is_folder = path.is_dir()
        if is_folder and os.name == "nt":  # Windows opens no folders
            continue
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
