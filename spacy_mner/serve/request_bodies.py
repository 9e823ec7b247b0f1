"""Reading the bodies of requests, in memory only and within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio
from fastapi import HTTPException, Request
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from .server_settings import MAX_CONTAINERS, MAX_STRINGS, MAX_VALUES

TOO_MANY = "Too many large requests at once."
# Seconds after which a client that was refused may try again.
RETRY_AFTER = 1

T = TypeVar("T")


def overloaded(reason: str) -> HTTPException:
    """The error for a request that the server has no room for now."""
    return HTTPException(503, f"{reason} Try again later.", {"Retry-After": str(RETRY_AFTER)})


class BodyReader:
    """Reads bodies within limits on one, on all together, and on the time that one takes.

    max_bytes: of a body.
    max_total: bytes of all requests that are not answered yet: their bodies, and what is fetched
        for them.
    timeout: seconds, for a body as a whole: one that arrives drop by drop ends there.
    """

    def __init__(self, max_bytes: int, max_total: int, timeout: float) -> None:
        self.max_bytes = max_bytes
        self._left = max_total
        self._timeout = timeout

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body, and count its bytes until the context ends.

        Raises HTTPException: 413 if it is too large, 408 if it takes too long, 503 if all bodies
        together are too large.
        """
        content = bytearray()
        request.state.held_bytes = 0
        try:
            try:
                with anyio.fail_after(self._timeout):
                    await self._read_into(content, request)
            except TimeoutError:
                reason = f"The request did not arrive within {self._timeout:g} seconds."
                raise HTTPException(408, reason) from None
            yield bytes(content)
        finally:
            self._left += request.state.held_bytes

    def hold(self, request: Request, n_bytes: int) -> bool:
        """Count further bytes of a request until the context of its body ends, if they fit."""
        if n_bytes > self._left:
            return False
        self._left -= n_bytes
        request.state.held_bytes += n_bytes
        return True

    async def _read_into(self, content: bytearray, request: Request) -> None:
        n_bytes = 0
        async for part in request.stream():
            n_bytes += len(part)
            if n_bytes <= self.max_bytes:
                if not self.hold(request, len(part)):
                    raise overloaded(TOO_MANY)
                content += part
            # Of a body that is somewhat too large, the rest is received and dropped: for many
            # clients, a connection that is closed while they send is an error without an answer.
            elif n_bytes > 2 * self.max_bytes:
                break
        if n_bytes > self.max_bytes:
            raise HTTPException(413, f"The body is over the limit of {self.max_bytes:,} bytes.")


async def unless_disconnected(request: Request, call: Coroutine[Any, Any, T]) -> T:
    """Await a call, or cancel it and raise ClientDisconnect when the client disconnects.

    The body of the request must have been read.
    """

    async def disconnect() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        task.cancel()

    task = asyncio.create_task(call)
    watch = asyncio.create_task(disconnect())
    try:
        await asyncio.wait([task])
    finally:
        watch.cancel()
        task.cancel()
    if task.cancelled():
        raise ClientDisconnect
    return task.result()


def media_type(request: Request) -> str:
    """Return the type of a body, such as "application/json"; "" if it is not given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def too_many(what: str, found: int, limit: int) -> HTTPException:
    """The error for more of something than the limit."""
    return HTTPException(413, f"Too many {what}: {found:,}, limit {limit:,}.")


def parse_json(body: bytes, max_values: int = MAX_VALUES) -> Any:
    """Parse JSON. Raises HTTPException: 413 if it has too many values, 422 if it is invalid."""
    # Counted before a value is created. The strings are cut out: they may have any characters.
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    n_strings = unescaped.count(b'"') // 2
    if n_strings > MAX_STRINGS:
        raise too_many("strings", n_strings, MAX_STRINGS)
    between = b"".join(unescaped.split(b'"')[::2])
    n_containers = between.count(b"[") + between.count(b"{")
    if n_containers > MAX_CONTAINERS:
        raise too_many("arrays and objects", n_containers, MAX_CONTAINERS)
    n_values = between.count(b",") + n_containers
    if n_values > max_values:
        raise too_many("values", n_values, max_values)
    try:
        return from_json(body)
    except ValueError as error:
        raise HTTPException(422, f"The JSON is invalid: {error}") from None


def validated(function: Any, *arguments: Any) -> Any:
    """Call a function; a request that it finds invalid is an error that does not quote it."""
    try:
        return function(*arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        # Otherwise, the message names our class.
        message = "expected an object" if first["type"] == "model_type" else first["msg"]
        raise HTTPException(422, f"{where}: {message}") from None


@contextmanager
def located(where: str) -> Iterator[None]:
    """Name the place in the errors of a request that are raised in this context."""
    try:
        yield
    except HTTPException as error:
        raise HTTPException(error.status_code, f"{where}: {error.detail}") from None
