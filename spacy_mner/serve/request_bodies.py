"""Reading the bodies of requests, in memory only and within limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastapi import HTTPException, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

# Seconds after which a client that was refused may try again.
RETRY_AFTER = 1
# Bytes that are parsed without a pause in which the server does something else.
PARSED_AT_ONCE = 1 << 16


def overloaded(reason: str) -> HTTPException:
    """The error for a request that the server has no room for now."""
    return HTTPException(503, f"{reason} Try again later.", {"Retry-After": str(RETRY_AFTER)})


class BodyReader:
    """Reads bodies within limits on one, on all together, and on the time that one takes.

    max_bytes: of a body.
    max_total: bytes of all bodies of requests that are not answered yet.
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
        try:
            try:
                with anyio.fail_after(self._timeout):
                    await self._read_into(content, request)
            except TimeoutError:
                reason = f"The request did not arrive within {self._timeout:g} seconds."
                raise HTTPException(408, reason) from None
            yield bytes(content)
        finally:
            self._left += len(content)

    async def _read_into(self, content: bytearray, request: Request) -> None:
        n_bytes = 0
        async for part in request.stream():
            n_bytes += len(part)
            if n_bytes <= self.max_bytes:
                if len(part) > self._left:
                    raise overloaded("Too many large requests at once.")
                self._left -= len(part)
                content += part
            # Of a body that is somewhat too large, the rest is received and dropped: for many
            # clients, a connection that is closed while they send is an error without an answer.
            elif n_bytes > 2 * self.max_bytes:
                break
        if n_bytes > self.max_bytes:
            raise HTTPException(413, f"The body is over the limit of {self.max_bytes:,} bytes.")


async def parse_form(request: Request, body: bytes, max_parts: int) -> FormData:
    """Parse a multipart form. Raises HTTPException (422) if it is invalid."""

    async def stream() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), PARSED_AT_ONCE):
            yield body[start : start + PARSED_AT_ONCE]
            await anyio.sleep(0)

    parser = MultiPartParser(
        request.headers,
        stream(),
        max_files=max_parts,
        max_fields=max_parts,
        max_part_size=len(body),
    )
    # Files must not be written to the disk.
    parser.spool_max_size = len(body) + 1
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(422, f"The form cannot be parsed: {error.message}") from None


def validated(function: Any, *arguments: Any) -> Any:
    """Call a function; a request that it finds invalid is an error that does not quote it."""
    try:
        return function(*arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(422, f"{where}: {first['msg']}") from None
