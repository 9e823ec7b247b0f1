"""Fetching images by untrusted URLs, with protection against SSRF."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from ...about import __version__
from ...errors import ImageError
from ..reference import BytesImage
from .limits import UNTRUSTED, Limits
from .public_addresses import Address, Deadline, PublicAddressBackend, is_public, resolve

PORTS = {"http": 80, "https": 443}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = [
    (b"User-Agent", f"spacy-mner/{__version__}".encode()),
    # As browsers do: servers of JSON APIs, such as Label Studio, refuse image types alone (406).
    (b"Accept", b"image/*, */*;q=0.8"),
    (b"Accept-Encoding", b"identity"),
]
# Characters of a URL that are sent unchanged; all others are percent-encoded.
URL_SAFE = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True)
class WebImages:
    """Fetches images over HTTP(S), without cookies, credentials or proxies.

    limits: upper limits on an image; `limits.bytes` bounds the download.
    seconds: timeout per image, for name resolution, redirects and content together.
    redirects: maximum number of redirects; each URL is checked like the first.
    ports: allowed ports.
    resolve: returns the addresses of a host name.
    allowed: returns whether an address may be connected to; by default public ones (SSRF).
    headers: sent with each request, redirected ones included.
    """

    limits: Limits = UNTRUSTED
    seconds: float = 10.0
    redirects: int = 5
    ports: frozenset[int] = frozenset(PORTS.values())
    resolve: Callable[[str, int], list[str]] = resolve
    allowed: Callable[[Address], bool] = is_public
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def open(self, reference: str, seconds: float = math.inf) -> BytesImage:
        """Fetch the image at a URL. Raises ImageError with the reason if it fails.

        seconds: timeout of this image if it is shorter.
        """
        seconds = min(seconds, self.seconds)
        backend = PublicAddressBackend(self.resolve, self.allowed, Deadline(seconds))
        try:
            with httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool:
                return BytesImage(self._fetch(pool, reference), self.limits)
        except httpcore.TimeoutException as error:
            raise ImageError(f"timeout: over {round(seconds, 1):g} seconds") from error
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.UnsupportedProtocol,
        ) as error:
            raise ImageError(f"cannot be fetched: {_printable(str(error))}") from error

    def _fetch(self, pool: httpcore.ConnectionPool, url: str) -> bytes:
        for _ in range(self.redirects + 1):
            with pool.stream(
                "GET", self._checked(url), headers=[*HEADERS, *self.headers]
            ) as response:
                if response.status not in REDIRECTS:
                    return self._content(response)
                url = _joined(url, _header(response, b"location"))
        raise ImageError(f"too many redirects: over {self.redirects}")

    def _checked(self, url: str) -> httpcore.URL:
        """Parse and validate a URL. Raises ImageError if it must not be fetched."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna"), parts.port
            target = quote(parts.path or "/", URL_SAFE)
            query = quote(parts.query, URL_SAFE)
        # UnicodeError for a lone surrogate, which cannot be encoded.
        except ValueError as error:
            raise ImageError("not a URL") from error
        if parts.scheme not in PORTS or not host:
            raise ImageError("not an HTTP URL")
        if "@" in parts.netloc:
            raise ImageError("a URL with credentials")
        port = PORTS[parts.scheme] if port is None else port
        if port not in self.ports:
            raise ImageError(f"port not allowed: {port}")
        if query:
            target += f"?{query}"
        return httpcore.URL(
            scheme=parts.scheme.encode(), host=host, port=port, target=target.encode()
        )

    def _content(self, response: httpcore.Response) -> bytes:
        if response.status != 200:
            raise ImageError(f"HTTP status: {response.status}")
        kind = _header(response, b"content-type").partition(";")[0].strip().lower()
        if not kind.startswith("image/") and kind != "application/octet-stream":
            raise ImageError(f"not an image: content of type {kind[:80] or 'unknown'}")
        encoding = _header(response, b"content-encoding").strip().lower()
        if encoding not in ("", "identity"):
            raise ImageError(f"content encoding not supported: {encoding[:80]}")
        # httpcore has validated that this is a number of at most 20 digits.
        self.limits.check_bytes(int(_header(response, b"content-length") or 0))
        content = bytearray()
        for part in response.iter_stream():
            content += part
            if len(content) > self.limits.bytes:
                raise ImageError(f"too large: over {self.limits.bytes:,} bytes")
        return bytes(content)


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise ImageError("not a URL") from error


def _header(response: httpcore.Response, name: bytes) -> str:
    values = (value for key, value in response.headers if key.lower() == name)
    return _printable(next(values, b"").decode("utf-8", "replace"), 2000)


def _printable(text: str, length: int = 80) -> str:
    return "".join(c for c in text if c.isprintable())[:length]


@cache
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()
