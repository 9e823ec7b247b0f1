"""Connections to public addresses only, and only for so long."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from typing import Any

import httpcore

from ...errors import ImageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What the Python versions do not agree on: IETF assignments, relays of 6to4, and the address
# under which a cloud machine finds its host.
NOT_PUBLIC_4 = [
    ipaddress.IPv4Network(block) for block in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
]
# All of IPv6 that is handed out for the Internet, and the parts of it that are not: assignments of
# the IETF (Teredo is one), examples, and addresses that stand for an IPv4 address (6to4). Those
# that stand for one elsewhere (mapped, NAT64) are outside.
PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_6 = [
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]


def is_public(address: Address) -> bool:
    """Whether an address is one of the Internet: not of this machine, its network or its host."""
    if isinstance(address, ipaddress.IPv6Address):
        return address in PUBLIC_6 and not any(address in block for block in NOT_PUBLIC_6)
    special = address.is_multicast or any(address in block for block in NOT_PUBLIC_4)
    return address.is_global and not special


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host name. Raises OSError where it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Deadline:
    """A moment that everything in a fetch must be done by."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises httpcore.ReadTimeout where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("no time left")
        return left


class PublicAddressBackend(httpcore.NetworkBackend):
    """Connects to names whose addresses are all allowed, and to one of those very addresses.

    Between the check and the connection no name is looked up again. Raises ImageError for a name
    with an address that is not allowed.
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
            # An address that does not answer leaves time for the next.
            share = self._deadline.left() / (len(addresses) - i + 1)
            try:
                stream = self._backend.connect_tcp(address, port, share, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if i == len(addresses):
                    raise
            else:
                return TimedStream(stream, self._deadline)
        raise httpcore.ConnectError("the name has no address")

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = _call_within(self._deadline.left(), self._resolve, host, port)
        except (OSError, ValueError) as error:
            raise httpcore.ConnectError("the name has no address") from error
        for address in addresses:
            if not self._allowed(ipaddress.ip_address(address)):
                raise ImageError(f"not a public address: {address}")
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline, however slowly the other side drips."""

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
    """Call a function that cannot be given a time limit; what comes too late is left alone."""
    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(function(*args))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(seconds)
    except NoAnswer as error:
        raise httpcore.ConnectTimeout("the name is not answered for") from error
