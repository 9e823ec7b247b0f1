from __future__ import annotations

import gzip
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.images import web as module
from spacy_mner.images.limits import Limits, PictureError
from spacy_mner.images.network import is_public, resolve
from spacy_mner.images.web import WebPictures

from .pictures import content, noise

PNG = content(Image.fromarray(noise()), "PNG")

# A key of nobody, made for this file alone, and its own certificate for pictures.example.
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

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """A web server on this machine that remembers the requests it got."""

    daemon_threads = True

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.requests: list[BaseHTTPRequestHandler] = []
        self.connections = 0

    @property
    def port(self) -> int:
        return self.server_address[1]

    def verify_request(self, request, client_address):
        self.connections += 1
        return True

    def handle_error(self, request, client_address):
        """The client hangs up on most of what is served here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self):
        self.server.requests.append(self)
        self.server.answers[self.path.partition("?")[0]](self)

    def log_message(self, format, *args):
        pass


def serve(body: bytes = PNG, status: int = 200, cut: int | None = None, **headers: str) -> Answer:
    """Answer with a body and headers (`content_type` is Content-Type)."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        named = {"Content-Type": "image/png", "Content-Length": str(len(body))}
        named |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        handler.send_response(status)
        for name, value in named.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:cut])
        handler.close_connection = True

    return answer


def drip(head: bytes, drop: bytes, seconds: float = 0.02) -> Answer:
    """Answer byte by byte, without end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        with suppress(OSError):
            while True:
                handler.wfile.write(drop)
                time.sleep(seconds)

    return answer


OPEN_END = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"

ANSWERS: dict[str, Answer] = {
    "/a.png": serve(),
    "/octets": serve(content_type="application/octet-stream"),
    "/typed": serve(content_type="Image/PNG; charset=utf-8"),
    "/page": serve(b"<html>", content_type="text/html"),
    "/untyped": serve(content_type=""),
    "/gone": serve(b"", status=404),
    "/part": serve(status=206),
    "/error": serve(b"", status=500),
    "/text": serve(b"no picture at all"),
    "/gzip": serve(gzip.compress(bytes(50_000_000)), content_encoding="gzip"),
    "/long": serve(b"", content_length="99999999999"),
    "/longer": serve(bytes(200_000), content_length=""),
    "/lying": serve(content_length=str(len(PNG) + 100)),
    "/short": serve(content_length="100"),
    "/odd length": serve(content_length="-5"),
    "/endless": drip(OPEN_END, bytes(65_536), 0),
    "/endless chunks": drip(CHUNKED, b"1\r\nx\r\n" * 1000, 0),
    "/slow body": drip(OPEN_END, b"x"),
    "/slow head": drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "/endless head": drip(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1000, 0),
    "/hints": drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "/silent": drip(b"", b"", 0.1),
    "/no http": lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n") and None,
    "/to a": serve(b"", status=302, location="/a.png"),
    "/circle": serve(b"", status=301, location="/circle"),
    "/to file": serve(b"", status=302, location="file:///etc/passwd"),
    "/to ftp": serve(b"", status=307, location="ftp://pictures.example/a.png"),
    "/to private": serve(b"", status=302, location="http://10.0.0.1/a.png"),
    "/to local": serve(b"", status=308, location="http://[::1]/a.png"),
    "/to port": serve(b"", status=302, location="http://pictures.example:22/"),
    "/to user": serve(b"", status=303, location="http://me:pass@pictures.example/a.png"),
    "/to nowhere": serve(b"", status=302),
}


def quoted(answers: dict[str, Answer]) -> dict[str, Answer]:
    return {path.replace(" ", "%20"): answer for path, answer in answers.items()}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server(quoted(ANSWERS))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running: Server) -> Server:
    running.requests.clear()
    running.connections = 0
    return running


def this_machine(address) -> bool:
    return str(address) == "127.0.0.1"


def here(host: str, port: int) -> list[str]:
    """Finds every name on this machine; addresses stay what they are."""
    return resolve(host, port) if host[0].isdigit() or ":" in host else ["127.0.0.1"]


def client(server: Server, **options) -> WebPictures:
    defaults = {
        "limits": Limits(bytes=100_000, pixels=10_000),
        "seconds": 1.5,
        "ports": frozenset({80, server.port}),
        "resolve": here,
        "allowed": this_machine,
    }
    return WebPictures(**defaults | options)


def url(server: Server, path: str) -> str:
    return f"http://pictures.example:{server.port}{path}"


def reason(server: Server, reference: str, **options) -> str:
    with pytest.raises(PictureError) as caught:
        client(server, **options).open(reference)
    assert len(str(caught.value)) < 160 and str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("path", ["/a.png", "/octets", "/typed", "/to a", "/a.png?size=ä b#top"])
def test_a_picture_on_the_web_is_a_picture(server, path):
    assert np.array_equal(client(server).open(url(server, path)).pixels(), noise())


def test_a_request_says_who_asks_and_nothing_about_anyone(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    client(server).open(url(server, "/to a"))
    for request in server.requests:
        assert {name.lower() for name in request.headers} == {
            "host", "user-agent", "accept", "accept-encoding",
        }  # fmt: skip
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.headers["User-Agent"].startswith("spacy-mner/")


@pytest.mark.parametrize(
    "path, words",
    [
        ("/page", "not a picture: content of type text/html"),
        ("/untyped", "not a picture: content of type unknown"),
        ("/gone", "the server answers 404"),
        ("/part", "the server answers 206"),
        ("/error", "the server answers 500"),
        ("/gzip", "content encoded by gzip"),
        ("/long", "too large: 99,999,999,999 bytes"),
        ("/longer", "too large: over 100,000 bytes"),
        ("/endless", "too large: over 100,000 bytes"),
        ("/endless chunks", "too large: over 100,000 bytes"),
        ("/lying", "cannot be fetched"),
        ("/odd length", "cannot be fetched"),
        ("/endless head", "cannot be fetched"),
        ("/no http", "cannot be fetched"),
        ("/circle", "over 5 redirects"),
        ("/to nowhere", "over 5 redirects"),
        ("/to file", "not a URL of the web"),
        ("/to ftp", "not a URL of the web"),
        ("/to private", "not a public address: 10.0.0.1"),
        ("/to local", "not a public address: ::1"),
        ("/to port", "a URL of port 22"),
        ("/to user", "a URL with a name or password"),
    ],
)
def test_what_a_server_must_not_do_is_refused(server, path, words):
    assert words in reason(server, url(server, path), seconds=10)


@pytest.mark.parametrize("path", ["/slow body", "/slow head", "/hints", "/silent"])
def test_a_server_that_drips_or_sleeps_is_left_in_time(server, path):
    started = time.monotonic()
    assert reason(server, url(server, path), seconds=0.4) == "took over 0.4 seconds to fetch"
    assert time.monotonic() - started < 3


def test_redirects_share_the_time_of_one_picture(server):
    def slow(handler):
        time.sleep(0.15)
        serve(b"", status=302, location="/slow%20circle")(handler)

    server.answers["/slow%20circle"] = slow
    words = reason(server, url(server, "/slow circle"), seconds=0.4, redirects=100)
    assert words.startswith("took over")


def test_redirects_are_counted(server):
    assert client(server, redirects=1).open(url(server, "/to a")).digest
    assert reason(server, url(server, "/to a"), redirects=0) == "over 0 redirects"
    reason(server, url(server, "/circle"))
    assert [request.path for request in server.requests].count("/circle") == 6


@pytest.mark.parametrize("path", ["/text", "/short"])
def test_content_that_is_no_picture_shows_when_it_is_decoded(server, path):
    picture = client(server).open(url(server, path))
    with pytest.raises(PictureError):
        picture.pixels()


def test_what_was_fetched_is_under_the_limits_of_untrusted_pictures(server):
    picture = WebPictures(ports=frozenset({server.port}), resolve=here, allowed=this_machine).open(
        url(server, "/a.png")
    )
    assert picture.limits.formats and "EPS" not in picture.limits.formats


@pytest.mark.parametrize(
    "reference, words",
    [
        ("file:///etc/passwd", "not a URL of the web"),
        ("snap.png", "not a URL of the web"),
        ("http://", "not a URL of the web"),
        ("http://[::1", "not a URL"),
        ("http://pictures.example:99999/", "not a URL"),
        ("http://a..example/", "not a URL"),
        ("http://pictures.example:0/", "a URL of port 0"),
        ("http://pictures.example:6379/", "a URL of port 6379"),
        ("http://me@pictures.example/", "a URL with a name or password"),
        ("http://:@pictures.example/", "a URL with a name or password"),
    ],
)
def test_what_is_no_url_of_a_picture_is_refused_unasked(server, reference, words):
    assert words in reason(server, reference)
    assert not server.connections


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0.0.0.0",
     "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]", "127.0.0.1."],
)  # fmt: skip
def test_this_machine_is_not_the_web_by_any_name(server, host):
    pictures = WebPictures(ports=frozenset({server.port}), seconds=3)
    with pytest.raises(PictureError, match="not a public address|cannot be fetched"):
        pictures.open(f"http://{host}:{server.port}/a.png")
    assert not server.connections


@pytest.mark.parametrize("others", [["127.0.0.1"], ["10.0.0.1"], ["fd00::1"], ["::ffff:10.0.0.1"]])
def test_a_name_with_one_private_address_is_refused_whatever_the_others_are(server, others):
    for addresses in (["8.8.8.8", *others], [*others, "8.8.8.8"]):
        words = reason(
            server,
            url(server, "/a.png"),
            resolve=lambda host, port, found=addresses: found,
            allowed=is_public,
        )
        assert words == f"not a public address: {others[0]}"
    assert not server.connections


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(server):
    looked_up = []

    def changing(host, port):
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["10.0.0.1"]

    assert client(server, resolve=changing).open(url(server, "/a.png")).digest
    assert looked_up == ["pictures.example"]
    assert server.requests[0].headers["Host"] == f"pictures.example:{server.port}"


def test_an_address_that_does_not_answer_leaves_it_to_the_next(server):
    def two(host, port):
        return ["127.0.0.9", "127.0.0.1"]

    pictures = client(server, resolve=two, allowed=lambda address: address.is_loopback)
    assert pictures.open(url(server, "/a.png")).digest


def test_a_name_that_is_not_found_or_not_answered_for_is_a_reason(server):
    def unknown(host, port):
        raise socket.gaierror("unknown")

    assert "no address" in reason(server, url(server, "/"), resolve=unknown)
    assert "no address" in reason(server, url(server, "/"), resolve=lambda host, port: [])
    started = time.monotonic()
    words = reason(
        server, url(server, "/"), seconds=0.3, resolve=lambda host, port: time.sleep(2) or []
    )
    assert words.startswith("took over") and time.monotonic() - started < 1.5


def test_a_closed_port_is_a_reason(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    words = reason(server, f"http://pictures.example:{port}/", ports=frozenset({port}))
    assert words.startswith("cannot be fetched")


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1",
     "127.255.0.1", "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255",
     "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
     "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
     "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
     "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1",
     "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:db8::1",
     "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12::1",
     "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"],
)  # fmt: skip
def test_an_address_that_is_not_of_the_internet_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
     "192.0.1.1", "223.255.255.255", "2001:4860:4860::8888", "2606:4700::1111", "2a00::1"],
)  # fmt: skip
def test_an_address_of_the_internet_is_public(address):
    assert is_public(ip_address(address))


@pytest.fixture
def secure(tmp_path: Path, monkeypatch) -> Iterator[Server]:
    """A server with a certificate for pictures.example, which the client trusts."""
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    server = Server(quoted(ANSWERS))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(module, "_tls", lambda: ssl.create_default_context(cafile=str(path)))
    yield server
    server.shutdown()
    server.server_close()


def test_a_certificate_is_checked_against_the_name_and_not_the_address(secure):
    here = f"https://pictures.example:{secure.port}/a.png"
    assert client(secure, seconds=5).open(here).pixels().shape == (40, 60, 3)
    words = reason(secure, f"https://other.example:{secure.port}/a.png", seconds=5)
    assert "certificate verify failed" in words


def test_a_certificate_of_nobody_is_refused(secure, monkeypatch):
    monkeypatch.undo()
    words = reason(secure, f"https://pictures.example:{secure.port}/a.png", seconds=5)
    assert "certificate verify failed" in words


def test_a_slow_server_is_left_in_time_over_tls_too(secure):
    words = reason(secure, f"https://pictures.example:{secure.port}/slow body", seconds=1)
    assert words == "took over 1 seconds to fetch"


def test_a_server_that_never_shakes_hands_is_left_in_time(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        words = reason(
            server, f"https://pictures.example:{port}/", ports=frozenset({port}), seconds=0.4
        )
    assert words.startswith("took over")


def test_the_client_goes_to_worker_processes(server):
    pictures = pickle.loads(pickle.dumps(client(server)))
    assert pictures.open(url(server, "/a.png")).digest
