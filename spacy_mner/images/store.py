"""Features of pictures, each encoded once: kept in memory and, where asked, on disk."""

from __future__ import annotations

import os
import threading
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .encoder import ImageEncoder
from .reference import Picture, PictureError

# Pictures whose pixels are in memory at the same time.
CHUNK = 64

LARGEST = float(np.finfo(np.float16).max)

Result = np.ndarray | PictureError


class FeatureStore:
    """The features of pictures by what they show, so that none is encoded twice.

    encoder: what describes a picture; its fingerprint keeps its features apart from others'.
    cache: folder for features that outlive the process; None keeps them in memory only. A folder
        that cannot be written to is left alone, with a warning.
    memory_mb: bound of the features in memory, in MiB; the least recently used go first.

    Features are rounded to float16 whether they come from the encoder or from a cache: a cold and
    a warm run agree bit by bit. Safe to use from several threads. A pickle holds neither the
    features in memory nor the network.
    """

    def __init__(self, encoder: ImageEncoder, *, cache: str | Path | None, memory_mb: int) -> None:
        if memory_mb < 0:
            raise ValueError(f"memory_mb must not be negative, got {memory_mb}")
        self.encoder = encoder
        self._cache = None if cache is None else Path(cache)
        self._capacity = memory_mb << 20
        self._forget()

    def features(self, pictures: Sequence[Picture]) -> list[Result]:
        """Describe pictures: float32 [n_regions, dim] each, or why a picture cannot be used."""
        results: dict[str, Result] = {}
        digests: list[str | PictureError] = []
        with self._lock:
            missing: dict[str, Picture] = {}
            for picture in pictures:
                digest = _digest(picture)
                digests.append(digest)
                if isinstance(digest, PictureError) or digest in results or digest in missing:
                    continue
                known = self._recall(digest)
                if known is None:
                    missing[digest] = picture
                else:
                    results[digest] = known
            results.update(self._encode(missing))
        return [d if isinstance(d, PictureError) else _widen(results[d]) for d in digests]

    def _encode(self, missing: dict[str, Picture]) -> dict[str, Result]:
        results: dict[str, Result] = {}
        waiting = list(missing.items())
        for start in range(0, len(waiting), CHUNK):
            readable: dict[str, np.ndarray] = {}
            for digest, picture in waiting[start : start + CHUNK]:
                try:
                    readable[digest] = picture.pixels()
                except PictureError as error:
                    results[digest] = error
            features = self.encoder.encode(list(readable.values()))
            for digest, values in zip(readable, features, strict=True):
                results[digest] = self._keep(digest, values)
        return results

    def _keep(self, digest: str, values: np.ndarray) -> Result:
        if np.isnan(values).any():
            return PictureError("the image encoder gave no numbers for it")
        rounded = values.clip(-LARGEST, LARGEST).astype(np.float16)
        self._remember(digest, rounded)
        self._write(digest, rounded)
        return rounded

    def _recall(self, digest: str) -> np.ndarray | None:
        if digest in self._memory:
            self._memory.move_to_end(digest)
            return self._memory[digest]
        values = self._read(digest)
        if values is not None:
            self._remember(digest, values)
        return values

    def _remember(self, digest: str, values: np.ndarray) -> None:
        self._memory[digest] = values
        self._used += values.nbytes
        while self._used > self._capacity:
            _, oldest = self._memory.popitem(last=False)
            self._used -= oldest.nbytes

    def _place(self, folder: Path, digest: str) -> Path:
        return folder / self.encoder.fingerprint / digest[:2] / f"{digest}.npy"

    def _read(self, digest: str) -> np.ndarray | None:
        if self._cache is None:
            return None
        try:
            values = np.load(self._place(self._cache, digest), allow_pickle=False)
        # A damaged file makes NumPy raise many things; each means that we have no features.
        except Exception:
            return None
        if not isinstance(values, np.ndarray) or values.dtype != np.float16:
            return None
        return values if values.shape == (self.encoder.n_regions, self.encoder.dim) else None

    def _write(self, digest: str, values: np.ndarray) -> None:
        if self._cache is None:
            return
        place = self._place(self._cache, digest)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(place, values)
        except OSError as error:
            warnings.warn(
                f"Features of pictures are not kept: cannot write to {self._cache} ({error})",
                stacklevel=4,
            )
            self._cache = None

    def _forget(self) -> None:
        self._memory: OrderedDict[str, np.ndarray] = OrderedDict()
        self._used = 0
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_memory", "_used", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


def _digest(picture: Picture) -> str | PictureError:
    try:
        return picture.digest
    except PictureError as error:
        return error


def _widen(result: Result) -> Result:
    return result if isinstance(result, PictureError) else result.astype(np.float32)


def _write_whole(place: Path, values: np.ndarray) -> None:
    """Write a file that other processes see either whole or not at all."""
    part = place.with_name(f"{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            np.save(file, values)
        os.replace(part, place)
    finally:
        part.unlink(missing_ok=True)
