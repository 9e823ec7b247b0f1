"""FeatureCache: the results of an image model, computed once per image content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import closing, suppress
from typing import Any, Generic

import torch

from ..errors import ImageError
from ..utils.fork_safe_lock import ForkSafeLock
from .disk_cache import DiskCache
from .image_model import ImageModel, Result
from .prefetch import decoded_batches
from .reference import LazyImage
from .safety.limits import TRUSTED, Limits

Key = tuple[str, Limits]


class FeatureCache(Generic[Result]):
    """Caches what a network computes from images: features of an encoder, objects of a
    detector, text of a reader.

    The key of an image is the hash of its content and of the limits that its caller imposes: a
    result that was computed under looser limits is not returned for it.

    network: the image model.
    memory_mb: bound of the results in memory, in MiB; the least recently used are dropped.
    disk: second level of the cache, used while training in this process; None for none.

    A result is the same whether computed or cached. Thread-safe: concurrent requests for one
    image compute it once. A pickle contains neither results nor the disk cache.
    """

    def __init__(self, network: ImageModel[Result], *, memory_mb: int) -> None:
        if memory_mb < 0:
            raise ValueError(f"memory_mb must not be negative, got {memory_mb}")
        self.network = network
        self._capacity = memory_mb << 20
        self.reset()

    def reset(self) -> None:
        """Drop all results, and the disk cache."""
        self.disk: DiskCache | None = None
        self._memory: OrderedDict[Key, Result] = OrderedDict()
        self._used_bytes = 0
        # Results that some thread is computing, which a forked child does not have. The lock guards
        # these three and is held briefly.
        self._pending: dict[Key, Future[Result | ImageError]] = {}
        self._lock = ForkSafeLock(in_child=self._pending.clear)

    def results(
        self,
        images: Sequence[LazyImage],
        device: torch.device | None = None,
        is_train: bool = False,
    ) -> list[Result | ImageError]:
        """Return the network's result for each image, or why the image cannot be used.

        device, is_train: how the network computes what is not cached: `ImageModel.compute`.
        """
        keys = [_key(image) for image in images]
        pairs = zip(keys, images, strict=True)
        wanted = {key: image for key, image in pairs if not isinstance(key, ImageError)}
        results: dict[Key, Result | ImageError] = {}
        # Repeats only for keys that another thread claimed and then failed to compute.
        while missing := {key: image for key, image in wanted.items() if key not in results}:
            results.update(self._gather(missing, device, is_train))
        return [key if isinstance(key, ImageError) else results[key] for key in keys]

    def _gather(
        self, wanted: Mapping[Key, LazyImage], device: torch.device | None, is_train: bool
    ) -> dict[Key, Result | ImageError]:
        """Return what is cached, computed here, or being computed by other threads."""
        results: dict[Key, Result | ImageError] = {}
        others: dict[Key, Future[Result | ImageError]] = {}
        claimed: dict[Key, LazyImage] = {}
        with self._lock:
            for key, image in wanted.items():
                if key in self._memory:
                    self._memory.move_to_end(key)
                    results[key] = self._memory[key]
                elif key in self._pending:
                    others[key] = self._pending[key]
                else:
                    self._pending[key] = Future()
                    claimed[key] = image
        try:
            for key, result in self._compute(claimed, device, is_train):
                with self._lock:
                    if not isinstance(result, ImageError):
                        self._insert(key, result)
                    self._pending.pop(key).set_result(result)
                results[key] = result
        finally:
            # After an exception, other threads can claim what was not computed.
            with self._lock:
                for key in claimed.keys() - results.keys():
                    self._pending.pop(key).cancel()
        for key, future in others.items():
            with suppress(CancelledError):
                results[key] = future.result()
        return results

    def _compute(
        self, images: Mapping[Key, LazyImage], device: torch.device | None, is_train: bool
    ) -> Iterator[tuple[Key, Result | ImageError]]:
        """Read results from disk, or decode the images and apply the network."""
        missing: dict[Key, LazyImage] = {}
        for key, image in images.items():
            result = self._read(key)
            if result is None:
                missing[key] = image
            else:
                yield key, result
        keys = iter(missing)
        size = self.network.batch_size(device)
        with closing(decoded_batches(list(missing.values()), size)) as batches:
            for batch in batches:
                readable = [pixels for pixels in batch if not isinstance(pixels, ImageError)]
                computed = iter(self.network.compute(readable, device, is_train))
                for pixels, key in zip(batch, keys, strict=False):
                    outcome = pixels if isinstance(pixels, ImageError) else next(computed)
                    if not isinstance(outcome, ImageError):
                        self._write(key, outcome)
                    yield key, outcome

    def _insert(self, key: Key, result: Result) -> None:
        self._memory[key] = result
        self._used_bytes += self.network.nbytes(result)
        while self._used_bytes > self._capacity:
            _, oldest = self._memory.popitem(last=False)
            self._used_bytes -= self.network.nbytes(oldest)

    def _read(self, key: Key) -> Result | None:
        digest, limits = key
        if self.disk is None or limits != TRUSTED:
            return None
        content = self.disk.read(self.network.fingerprint, digest)
        try:
            return None if content is None else self.network.from_bytes(content)
        # Parsers raise many types of errors on a damaged file; each means a cache miss.
        except Exception:
            return None

    def _write(self, key: Key, result: Result) -> None:
        digest, limits = key
        if self.disk is not None and limits == TRUSTED:
            self.disk.write(self.network.fingerprint, digest, self.network.to_bytes(result))

    def __getstate__(self) -> dict[str, Any]:
        return {"network": self.network, "_capacity": self._capacity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()


def _key(image: LazyImage) -> Key | ImageError:
    try:
        return image.digest, image.limits
    except ImageError as error:
        # A copy: the traceback of the original would keep the content of the file in memory.
        return ImageError(str(error))
