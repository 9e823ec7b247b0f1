"""Images that references of unknown origin name by URL, fetched from public addresses."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from ...about import __version__
from ...errors import ImageError
from ..reference import BytesImage, LazyImage
from .limits import UNTRUSTED, Limits
from .public_addresses import Address, Deadline, PublicAddressBackend, is_public, resolve

PORTS = {"http": 80, "https": 443}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = [
    (b"User-Agent", f"spacy-mner/{__version__}".encode()),
    (b"Accept", b"image/*"),
    (b"Accept-Encoding", b"identity"),
]
# What a URL may hold as it is; the rest of Unicode is sent as its UTF-8 in percent signs.
URL_SAFE = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True)
class WebImages:
    """Images on the web. Sends no cookies and no passwords, and asks no proxy.

    limits: what an image may be; its bytes bound what is received.
    seconds: for one image: finding the address, redirects and content together.
    redirects: how many are followed; each is checked like the first URL.
    ports: that a URL may name.
    resolve: finds the addresses of a host name.
    allowed: whether an address may be connected to; by default, those of the Internet.
    """

    limits: Limits = UNTRUSTED
    seconds: float = 10.0
    redirects: int = 5
    ports: frozenset[int] = frozenset(PORTS.values())
    resolve: Callable[[str, int], list[str]] = resolve
    allowed: Callable[[Address], bool] = is_public

    def open(self, reference: str) -> LazyImage:
        """Fetch the image at a URL. Raises ImageError with the reason where that fails."""
        backend = PublicAddressBackend(self.resolve, self.allowed, Deadline(self.seconds))
        try:
            with httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool:
                return BytesImage(self._fetch(pool, reference), self.limits)
        except httpcore.TimeoutException as error:
            raise ImageError(f"took over {self.seconds:g} seconds to fetch") from error
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.UnsupportedProtocol,
        ) as error:
            raise ImageError(f"cannot be fetched: {_printable(str(error))}") from error

    def _fetch(self, pool: httpcore.ConnectionPool, url: str) -> bytes:
        for _ in range(self.redirects + 1):
            with pool.stream("GET", self._checked(url), headers=HEADERS) as response:
                if response.status not in REDIRECTS:
                    return self._content(response)
                url = _joined(url, _header(response, b"location"))
        raise ImageError(f"over {self.redirects} redirects")

    def _checked(self, url: str) -> httpcore.URL:
        """Take a URL apart. Raises ImageError for one that is not fetched."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna"), parts.port
            target = quote(parts.path or "/", URL_SAFE)
            query = quote(parts.query, URL_SAFE)
        # Half of a surrogate pair is no text that could be sent.
        except ValueError as error:
            raise ImageError("not a URL") from error
        if parts.scheme not in PORTS or not host:
            raise ImageError("not a URL of the web")
        if "@" in parts.netloc:
            raise ImageError("a URL with a name or password")
        port = PORTS[parts.scheme] if port is None else port
        if port not in self.ports:
            raise ImageError(f"a URL of port {port}")
        if query:
            target += f"?{query}"
        return httpcore.URL(
            scheme=parts.scheme.encode(), host=host, port=port, target=target.encode()
        )

    def _content(self, response: httpcore.Response) -> bytes:
        if response.status != 200:
            raise ImageError(f"the server answers {response.status}")
        kind = _header(response, b"content-type").partition(";")[0].strip().lower()
        if not kind.startswith("image/") and kind != "application/octet-stream":
            raise ImageError(f"not an image: content of type {kind[:80] or 'unknown'}")
        encoding = _header(response, b"content-encoding").strip().lower()
        if encoding not in ("", "identity"):
            raise ImageError(f"content encoded by {encoding[:80]}")
        # The protocol makes sure that this is a number of at most 20 digits.
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
        raise ImageError("a redirect to no URL") from error


def _header(response: httpcore.Response, name: bytes) -> str:
    values = (value for key, value in response.headers if key.lower() == name)
    return _printable(next(values, b"").decode("utf-8", "replace"), 2000)


def _printable(text: str, length: int = 80) -> str:
    return "".join(c for c in text if c.isprintable())[:length]


@cache
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()
