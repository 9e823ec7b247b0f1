"""A local web server with configurable, also malicious, responses."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

from ..samples import content, noise

PNG = content(Image.fromarray(noise()), "PNG")

# A key made for these tests only, with a self-signed certificate for pictures.example.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq52K4K0GLEX7B/jq
H/xe5rhavJHhvY00UsINZ/jO0kKhRANCAAQGykdvx4Ra3Kv+NA3gb3SsX5ToYo1l
Ml/ryoMmfYAW23E1o9lkM+Zzo/0C1z/KW27qwbxDoJFN4zXo3qvSaT26
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBqTCCAVCgAwIBAgIUbgykHBAw0sv5VqtcFCKRHR9PUlgwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQcGljdHVyZXMuZXhhbXBsZTAgFw0yNjExMjIxNDI3MDJaGA8y
MTI2MTAyOTE0MjcwMlowGzEZMBcGA1UEAwwQcGljdHVyZXMuZXhhbXBsZTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABAbKR2/HhFrcq/40DeBvdKxflOhijWUyX+vK
gyZ9gBbbcTWj2WQz5nOj/QLXP8pbburBvEOgkU3jNejeq9JpPbqjcDBuMB0GA1Ud
DgQWBBSFo2UzIti6hZCJSHGs/8/gMl5IlzAfBgNVHSMEGDAWgBSFo2UzIti6hZCJ
SHGs/8/gMl5IlzAPBgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKCEHBpY3R1cmVz
LmV4YW1wbGUwCgYIKoZIzj0EAwIDRwAwRAIgQOWfHwjp0ZjPQa8d3CfBekgcn2l2
iKB4IVqb4lrHBikCICl9KAY8jM6NhYqN1v0IPcZEnaEn9ctbO5ILUWQh2NEm
-----END CERTIFICATE-----
"""

Response = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """A local web server that records its requests."""

    daemon_threads = True

    def __init__(self, responses: dict[str, Response]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses = responses
        self.requests: list[BaseHTTPRequestHandler] = []
        self.connections = 0

    @property
    def port(self) -> int:
        return self.server_address[1]

    def verify_request(self, request, client_address):
        self.connections += 1
        return True

    def handle_error(self, request, client_address):
        """Ignored: the client closes the connection on most responses."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self):
        self.server.requests.append(self)
        self.server.responses[self.path.partition("?")[0]](self)

    def log_message(self, format, *args):
        pass


def serve(body: bytes = PNG, status: int = 200, cut: int | None = None, **headers: str) -> Response:
    """Respond with a body and headers (`content_type` is Content-Type)."""

    def response(handler: BaseHTTPRequestHandler) -> None:
        named = {"Content-Type": "image/png", "Content-Length": str(len(body))}
        named |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        handler.send_response(status)
        for name, value in named.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:cut])
        handler.close_connection = True

    return response


def send_raw(data: bytes) -> Response:
    """Send bytes that are not HTTP, and close the connection."""

    def response(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return response


def stream(head: bytes, chunk: bytes, seconds: float = 0.02) -> Response:
    """Send a head, then the same bytes again and again without end."""

    def response(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        with suppress(OSError):
            while True:
                handler.wfile.write(chunk)
                time.sleep(seconds)

    return response
