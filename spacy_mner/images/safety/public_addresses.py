"""Protection against server-side request forgery (SSRF): connections to public addresses only."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import httpcore

from ...errors import ImageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Blocks that not all Python versions classify as non-global: IETF assignments, 6to4 relays, and the
# metadata address of a cloud provider.
NOT_PUBLIC_4 = [
    ipaddress.IPv4Network(block) for block in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
]
# The global unicast block of IPv6, and non-public blocks in it: IETF assignments (such as Teredo),
# documentation, and 6to4, which embeds IPv4 addresses. Other embeddings (mapped, NAT64) are outside
# of the global block.
PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_6 = [
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]


def is_public(address: Address) -> bool:
    """Return whether an address is global: not loopback, private, link-local or reserved."""
    if isinstance(address, ipaddress.IPv6Address):
        return address in PUBLIC_6 and not any(address in block for block in NOT_PUBLIC_6)
    special = address.is_multicast or any(address in block for block in NOT_PUBLIC_4)
    return address.is_global and not special


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a host name. Raises OSError if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Deadline:
    """The time by which a whole fetch must be complete."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds. Raises httpcore.ReadTimeout if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline exceeded")
        return left


class PublicAddressBackend(httpcore.NetworkBackend):
    """A network backend that connects only to hosts whose addresses are all allowed.

    It connects to the address that was checked and does not resolve the name again (DNS
    rebinding). Raises ImageError for a host with an address that is not allowed.

    resolve: returns the addresses of a host and port.
    allowed: returns whether an address may be connected to.
    """

    def __init__(
        self,
        resolve: Callable[[str, int], list[str]],
        allowed: Callable[[Address], bool],
        deadline: Deadline,
    ) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._checked(host, port)
        for i, address in enumerate(addresses, start=1):
            # Leaves time for the remaining addresses if this one does not respond.
            share = self._deadline.left() / (len(addresses) - i + 1)
            try:
                stream = self._backend.connect_tcp(address, port, share, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if i == len(addresses):
                    raise
            else:
                return TimedStream(stream, self._deadline)
        raise httpcore.ConnectError("host name not resolved")

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = _call_within(self._deadline.left(), self._resolve, host, port)
        except (OSError, ValueError) as error:
            raise httpcore.ConnectError("host name not resolved") from error
        for address in addresses:
            if not self._allowed(ipaddress.ip_address(address)):
                raise ImageError(f"not a public address: {address}")
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A connection with one deadline for all reads and writes (protection against slowloris)."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _call_within(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that has no timeout parameter; a late result is discarded."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except FutureTimeout as error:
        raise httpcore.ConnectTimeout("host name not resolved in time") from error
