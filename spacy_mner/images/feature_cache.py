"""Features of images, each encoded once: kept in memory and, where asked, on disk."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import ImageError
from ..utils.atomic_file import atomic_file
from .frozen_network import FrozenNetwork
from .prefetch import Decoded, decode_ahead
from .reference import LazyImage
from .safety.limits import LARGEST

Result = np.ndarray | ImageError

Encoder = TypeVar("Encoder", bound=FrozenNetwork)


class FeatureCache(Generic[Encoder]):
    """The features of images by what they show, so that none is encoded twice.

    encoder: what describes an image; its fingerprint keeps its features apart from others'.
    memory_mb: bound of the features in memory, in MiB; the least recently used go first.
    folder: where features are cached on disk too, or None; set for the training in this process.
        If it cannot be written to, one warning is issued and it is not used any more.

    Features are rounded to float16 whether they come from the encoder or from a cache: a cold and
    a warm run agree bit by bit. Safe to use from several threads. A pickle holds neither the
    features in memory nor the network nor the folder.
    """

    def __init__(self, encoder: Encoder, *, memory_mb: int) -> None:
        if memory_mb < 0:
            raise ValueError(f"memory_mb must not be negative, got {memory_mb}")
        self.encoder = encoder
        self.folder: Path | None = None
        self._capacity = memory_mb << 20
        self._forget()

    def features(self, images: Sequence[LazyImage]) -> list[Result]:
        """Describe images: float32 [n_regions, dim] each, or why an image cannot be used."""
        digests = [_digest(image) for image in images]
        pairs = zip(digests, images, strict=True)
        wanted = {digest: image for digest, image in pairs if isinstance(digest, str)}
        results: dict[str, Result] = {}
        # Once more only for what another thread had begun and then failed at.
        while missing := {d: p for d, p in wanted.items() if d not in results}:
            results.update(self._gather(missing))
        return [d if isinstance(d, ImageError) else _widen(results[d]) for d in digests]

    def _gather(self, wanted: Mapping[str, LazyImage]) -> dict[str, Result]:
        """What is known, what this thread finds out, and what others were about to find out."""
        results, mine, others = self._claim(wanted)
        try:
            for digest, result in self._find({digest: wanted[digest] for digest in mine}):
                results[digest] = result
                self._settle(digest, result)
        finally:
            self._abandon(mine)
        for digest, future in others.items():
            with suppress(CancelledError):
                results[digest] = future.result()
        return results

    def _claim(
        self, digests: Iterable[str]
    ) -> tuple[dict[str, Result], list[str], dict[str, Future[Result]]]:
        """Tell what is known from what this thread is to find out, and what others are at."""
        known: dict[str, Result] = {}
        mine: list[str] = []
        others: dict[str, Future[Result]] = {}
        with self._lock:
            for digest in digests:
                if digest in self._memory:
                    self._memory.move_to_end(digest)
                    known[digest] = self._memory[digest]
                elif digest in self._begun:
                    others[digest] = self._begun[digest]
                else:
                    self._begun[digest] = Future()
                    mine.append(digest)
        return known, mine, others

    def _settle(self, digest: str, result: Result) -> None:
        with self._lock:
            if isinstance(result, np.ndarray):
                self._remember(digest, result)
            self._begun.pop(digest).set_result(result)

    def _abandon(self, digests: Iterable[str]) -> None:
        """Let others find out what this thread has begun and did not finish."""
        with self._lock:
            for digest in digests:
                if (future := self._begun.pop(digest, None)) is not None:
                    future.cancel()

    def _find(self, images: Mapping[str, LazyImage]) -> Iterator[tuple[str, Result]]:
        """Read features from the cache, or have them encoded."""
        missing: dict[str, LazyImage] = {}
        for digest, image in images.items():
            values = self._read(digest)
            if values is None:
                missing[digest] = image
            else:
                yield digest, values
        digests = iter(missing)
        with closing(decode_ahead(list(missing.values()), self.encoder.batch_size)) as groups:
            for group in groups:
                for result in self._encode(group):
                    digest = next(digests)
                    if isinstance(result, np.ndarray):
                        self._write(digest, result)
                    yield digest, result

    def _encode(self, group: Sequence[Decoded]) -> list[Result]:
        readable = [decoded for decoded in group if isinstance(decoded, np.ndarray)]
        features = iter(self.encoder.encode(readable))
        return [
            _rounded(next(features)) if isinstance(decoded, np.ndarray) else decoded
            for decoded in group
        ]

    def _remember(self, digest: str, values: np.ndarray) -> None:
        self._memory[digest] = values
        self._used += values.nbytes
        while self._used > self._capacity:
            _, oldest = self._memory.popitem(last=False)
            self._used -= oldest.nbytes

    def _place(self, folder: Path, digest: str) -> Path:
        return folder / self.encoder.fingerprint / digest[:2] / f"{digest}.npy"

    def _read(self, digest: str) -> np.ndarray | None:
        cache = self.folder
        if cache is None:
            return None
        try:
            values = np.load(self._place(cache, digest), allow_pickle=False)
        # A damaged file makes NumPy raise many things; each means that we have no features.
        except Exception:
            return None
        if not isinstance(values, np.ndarray) or values.dtype != np.float16:
            return None
        return values if values.shape == (self.encoder.n_regions, self.encoder.dim) else None

    def _write(self, digest: str, values: np.ndarray) -> None:
        cache = self.folder
        if cache is None:
            return
        place = self._place(cache, digest)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(place, lasting=False) as file:
                np.save(file, values)
        except OSError as error:
            warnings.warn(
                f"Features of images are not kept: cannot write to {cache} ({error})",
                stacklevel=5,
            )
            self.folder = None

    def _forget(self) -> None:
        self._memory: OrderedDict[str, np.ndarray] = OrderedDict()
        self._used = 0
        # What a thread has begun to find out. The lock guards these three, and nothing slow.
        self._begun: dict[str, Future[Result]] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        own = ("folder", "_memory", "_used", "_begun", "_lock")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, folder=None)
        self._forget()


def _digest(image: LazyImage) -> str | ImageError:
    try:
        return image.digest
    except ImageError as error:
        # Not the error itself: its traceback would keep the content of the file in memory.
        return ImageError(str(error))


def _rounded(values: np.ndarray) -> Result:
    if np.isnan(values).any():
        return ImageError("the image encoder gave no numbers for it")
    return values.clip(-LARGEST, LARGEST).astype(np.float16)


def _widen(result: Result) -> Result:
    return result if isinstance(result, ImageError) else result.astype(np.float32)
