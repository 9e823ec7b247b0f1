"""DiskCache: serialized outputs of image networks in a folder, kept over restarts of a training."""

from __future__ import annotations

from pathlib import Path

from ..errors import ImageWarning
from ..utils.atomic_file import atomic_file
from ..utils.caller import warn_caller
from ..utils.fork_safe_lock import ForkSafeLock


class DiskCache:
    """One file per entry, in a folder that several caches and processes may share.

    If the folder cannot be written to, one warning is issued and nothing more is written.
    Thread-safe.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_writable = True
        self._lock = ForkSafeLock()

    def read(self, group: str, key: str) -> bytes | None:
        """Return the content of an entry, None if there is none."""
        try:
            return self._path(group, key).read_bytes()
        except OSError:
            return None

    def write(self, group: str, key: str, content: bytes) -> None:
        """Write an entry atomically."""
        if not self._is_writable:
            return
        path = self._path(group, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path, durable=False) as file:
                file.write(content)
        except OSError as error:
            with self._lock:
                is_first, self._is_writable = self._is_writable, False
            if is_first:
                warn_caller(
                    f"Cannot write to the image cache {self.folder} ({error}). Image features are "
                    "cached in memory only; set image_cache to a writable folder, or to null.",
                    ImageWarning,
                )

    def _path(self, group: str, key: str) -> Path:
        return self.folder / group / key[:2] / key
