"""The images of the tasks of Label Studio."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from ..corpus.labelstudio import LOCAL_FILES
from ..errors import ImageError, UsageError
from ..images.data_uris import is_data_uri
from ..images.reference import LazyImage
from ..images.safety.paths import has_parent_reference
from ..images.safety.untrusted_references import WEB, BulkImages, FolderImages
from ..images.safety.web_images import PORTS, WebImages
from .request_images import Fetch, masked
from .server_settings import ServerSettings

# Paths at which Label Studio serves the files of tasks, and those of a folder among them.
SERVED_PATH = "/data/"
LOCAL_PATH = urlsplit(LOCAL_FILES).path


class TaskImages:
    """Finds the images of tasks: local files, files of Label Studio itself, and data URIs.

    Raises UsageError if the URL of Label Studio is not one of a host.
    """

    def __init__(self, settings: ServerSettings) -> None:
        limits = settings.task.image_limits
        self._given = BulkImages(None, None, limits)
        self._web = WebImages(limits) if settings.allow_urls else None
        root = settings.images_root
        self._folder = None if root is None else FolderImages(root, limits)
        self._url = settings.label_studio_url or ""
        self._base = ""
        self._label_studio: WebImages | None = None
        if settings.label_studio_url is not None:
            host = _origin(self._url)
            if host is None:
                raise UsageError(
                    f"--label-studio-url {self._url}: expected http://HOST:PORT, or a path there."
                )
            # Label Studio may be below a path of its host.
            self._base = unquote(urlsplit(self._url).path).rstrip("/")
            token = settings.label_studio_token
            headers = [(b"Authorization", f"Token {token}".encode())] if token else []
            # Exactly this host may have any address; a redirect could leave it.
            self._label_studio = WebImages(
                limits,
                redirects=0,
                ports=frozenset({host[2]}),
                allowed=lambda address: True,
                headers=tuple(headers),
            )

    def find_all(self, references: list[list[Any]]) -> list[list[LazyImage | ImageError | Fetch]]:
        """Return the images of each task: opened, masked, or what fetches them."""
        return [[self._masked(one) for one in of_task] for of_task in references]

    def _masked(self, reference: Any) -> LazyImage | ImageError | Fetch:
        try:
            return self._find(reference)
        except Exception as error:
            return masked(error)

    def _find(self, reference: Any) -> LazyImage | Fetch:
        if not isinstance(reference, str) or is_data_uri(reference):
            return self._given.open(reference)
        if self._folder is not None:
            path = self._local_path(reference)
            if path is not None:
                return self._folder.open(path)
        if self._label_studio is not None:
            url = urljoin(self._url, reference)
            path = unquote(urlsplit(url).path)
            is_file = path.startswith(self._base + SERVED_PATH) and not has_parent_reference(path)
            if is_file and _origin(url) == _origin(self._url):
                return partial(self._label_studio.open, url)
        if self._web is not None and WEB.match(reference):
            return partial(self._web.open, reference)
        return self._given.open(reference)  # refuses it

    def _local_path(self, reference: str) -> str | None:
        """Return the path in the URL of a local file, relative to the folder; None if it is none.

        The host is not compared: Label Studio may have other names for itself.
        """
        parts = urlsplit(reference)
        if unquote(parts.path) not in (LOCAL_PATH, self._base + LOCAL_PATH):
            return None
        return next(iter(parse_qs(parts.query).get("d", [])), None)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None if it is none, or has credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
