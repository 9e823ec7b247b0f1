"""Runs the application on a port, with logs and headers that give nothing away."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import traceback
from typing import Any

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..utils.garbage import freeze_objects
from ..utils.text import pluralize

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Seconds after the time for a request in which those in flight are finished on SIGTERM.
GRACE = 30

logger = logging.getLogger("spacy_mner.serve")


class PrivateApplication:
    """Adds security headers to all answers, and logs errors without their messages.

    The message of an exception can quote a post.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass
        except Exception as error:
            if scope["type"] != "http":
                raise
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("%s in a request:\n%s", type(error).__name__, frames)


class TimedProtocol(H11Protocol):
    """HTTP/1.1 on connections that end if no request arrives in time, or no answer is read.

    (The attacks are called slowloris and slow read.) A body that is read has its own time limit;
    see `BodyReader`. What is left of a body when its request has been answered is received and
    dropped, for as long.
    """

    timeout = 30.0
    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._expect_reading(None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._expect_reading(None)

    def _expect_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.timeout, self._close_without_request)

    def _close_without_request(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _expect_reading(self, unread: int | None) -> None:
        """Expect that the client has read something in time, of as many bytes; None: of nothing."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading = None
        if unread:
            self._reading = self.loop.call_later(self.timeout, self._abort_without_reading, unread)

    def _abort_without_reading(self, unread: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < unread:
            self._expect_reading(left)
        else:  # closing would wait until everything is read
            self.transport.abort()


class AnnouncedServer(uvicorn.Server):
    """Prints its address when it accepts requests and handles signals, and what it ends with."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in (sockets or ()) if self.started else ():
            host, port, *_ = listening.getsockname()
            print(f"http://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if n := len(self.server_state.tasks):
            print(f"Finishing {pluralize(n, 'request')} in flight.", file=sys.stderr)
        await super().shutdown(sockets)


def make_server(app: ASGIApp, timeout: float) -> uvicorn.Server:
    """Return a server of an application.

    timeout: seconds in which a request must have arrived.
    """
    # It logs bytes of forms that it cannot parse.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        PrivateApplication(app),
        http=type("Protocol", (TimedProtocol,), {"timeout": timeout}),
        ws="none",
        log_level="error",  # its warnings are about requests
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(timeout) + GRACE,
    )
    return AnnouncedServer(config)


def run_server(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, and finish the requests that are in flight."""
    freeze_objects()
    server.run([listening])
