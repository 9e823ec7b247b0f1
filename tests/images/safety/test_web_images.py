from __future__ import annotations

import gzip
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spacy_mner.errors import ImageError
from spacy_mner.images.safety import web_images as module
from spacy_mner.images.safety.limits import Limits
from spacy_mner.images.safety.public_addresses import is_public, resolve
from spacy_mner.images.safety.web_images import WebImages

from ..samples import noise
from .server import CERTIFICATE, PNG, Response, Server, send_raw, serve, stream

OPEN_END = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"

RESPONSES: dict[str, Response] = {
    "/a.png": serve(),
    "/octets": serve(content_type="application/octet-stream"),
    "/typed": serve(content_type="Image/PNG; charset=utf-8"),
    "/page": serve(b"<html>", content_type="text/html"),
    "/untyped": serve(content_type=""),
    "/gone": serve(b"", status=404),
    "/part": serve(status=206),
    "/error": serve(b"", status=500),
    "/text": serve(b"no image at all"),
    "/gzip": serve(gzip.compress(bytes(50_000_000)), content_encoding="gzip"),
    "/long": serve(b"", content_length="99999999999"),
    "/longer": serve(bytes(200_000), content_length=""),
    "/lying": serve(content_length=str(len(PNG) + 100)),
    "/short": serve(content_length="100"),
    "/odd length": serve(content_length="-5"),
    "/endless": stream(OPEN_END, bytes(65_536), 0),
    "/endless chunks": stream(CHUNKED, b"1\r\nx\r\n" * 1000, 0),
    "/slow body": stream(OPEN_END, b"x"),
    "/slow head": stream(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "/endless head": stream(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1000, 0),
    "/hints": stream(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "/silent": stream(b"", b"", 0.1),
    "/no http": send_raw(b"SSH-2.0-OpenSSH\r\n"),
    "/to a": serve(b"", status=302, location="/a.png"),
    "/cycle": serve(b"", status=301, location="/cycle"),
    "/to file": serve(b"", status=302, location="file:///etc/passwd"),
    "/to ftp": serve(b"", status=307, location="ftp://pictures.example/a.png"),
    "/to private": serve(b"", status=302, location="http://10.0.0.1/a.png"),
    "/to local": serve(b"", status=308, location="http://[::1]/a.png"),
    "/to port": serve(b"", status=302, location="http://pictures.example:22/"),
    "/to user": serve(b"", status=303, location="http://me:pass@pictures.example/a.png"),
    "/to no url": serve(b"", status=302, location="//[::1"),
    "/to nowhere": serve(b"", status=302),
}


def quoted(responses: dict[str, Response]) -> dict[str, Response]:
    return {path.replace(" ", "%20"): response for path, response in responses.items()}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server(quoted(RESPONSES))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running: Server) -> Server:
    running.requests.clear()
    running.connections = 0
    return running


def is_local(address) -> bool:
    return str(address) == "127.0.0.1"


def resolve_locally(host: str, port: int) -> list[str]:
    """Resolve every host name to the local server."""
    return resolve(host, port) if host[0].isdigit() or ":" in host else ["127.0.0.1"]


def client(server: Server, **options) -> WebImages:
    defaults = {
        "limits": Limits(bytes=100_000, pixels=10_000),
        "seconds": 1.5,
        "ports": frozenset({80, server.port}),
        "resolve": resolve_locally,
        "allowed": is_local,
    }
    return WebImages(**defaults | options)


def url(server: Server, path: str) -> str:
    return f"http://pictures.example:{server.port}{path}"


def reason(server: Server, reference: str, **options) -> str:
    with pytest.raises(ImageError) as caught:
        client(server, **options).open(reference)
    assert len(str(caught.value)) < 160 and str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("path", ["/a.png", "/octets", "/typed", "/to a", "/a.png?size=ä b#top"])
def test_an_image_is_fetched(server, path):
    assert np.array_equal(client(server).open(url(server, path)).pixels(), noise())


def test_a_request_has_no_credentials_and_uses_no_proxy(server, monkeypatch):
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
    "path, expected",
    [
        ("/page", "not an image: content of type text/html"),
        ("/untyped", "not an image: content of type unknown"),
        ("/gone", "HTTP status: 404"),
        ("/part", "HTTP status: 206"),
        ("/error", "HTTP status: 500"),
        ("/gzip", "content encoding not supported: gzip"),
        ("/long", "too large: 99,999,999,999 bytes"),
        ("/longer", "too large: over 100,000 bytes"),
        ("/endless", "too large: over 100,000 bytes"),
        ("/endless chunks", "too large: over 100,000 bytes"),
        ("/lying", "cannot be fetched"),
        ("/odd length", "cannot be fetched"),
        ("/endless head", "cannot be fetched"),
        ("/no http", "cannot be fetched"),
        ("/cycle", "too many redirects: over 5"),
        ("/to nowhere", "too many redirects: over 5"),
        ("/to file", "not an HTTP URL"),
        ("/to ftp", "not an HTTP URL"),
        ("/to private", "not a public address: 10.0.0.1"),
        ("/to local", "not a public address: ::1"),
        ("/to port", "port not allowed: 22"),
        ("/to user", "a URL with credentials"),
        ("/to no url", "not a URL"),
    ],
)
def test_an_invalid_response_is_rejected_with_the_reason(server, path, expected):
    assert expected in reason(server, url(server, path), seconds=10)


@pytest.mark.parametrize("path", ["/slow body", "/slow head", "/hints", "/silent"])
def test_a_slow_server_causes_a_timeout(server, path):
    started = time.monotonic()
    assert reason(server, url(server, path), seconds=0.4) == "timeout: over 0.4 seconds"
    assert time.monotonic() - started < 3


def test_the_timeout_includes_redirects(server):
    def slow(handler):
        time.sleep(0.15)
        serve(b"", status=302, location="/slow%20cycle")(handler)

    server.responses["/slow%20cycle"] = slow
    expected = reason(server, url(server, "/slow cycle"), seconds=0.4, redirects=100)
    assert expected.startswith("timeout: ")


def test_redirects_are_limited(server):
    assert client(server, redirects=1).open(url(server, "/to a")).digest
    assert reason(server, url(server, "/to a"), redirects=0) == "too many redirects: over 0"
    reason(server, url(server, "/cycle"))
    assert [request.path for request in server.requests].count("/cycle") == 6


@pytest.mark.parametrize("path", ["/text", "/short"])
def test_invalid_content_is_rejected_when_it_is_decoded(server, path):
    image = client(server).open(url(server, path))
    with pytest.raises(ImageError):
        image.pixels()


def test_fetched_images_have_the_limits_of_untrusted_input(server):
    image = WebImages(
        ports=frozenset({server.port}), resolve=resolve_locally, allowed=is_local
    ).open(url(server, "/a.png"))
    assert image.limits.formats and "EPS" not in image.limits.formats


@pytest.mark.parametrize(
    "reference, expected",
    [
        ("file:///etc/passwd", "not an HTTP URL"),
        ("snap.png", "not an HTTP URL"),
        ("http://", "not an HTTP URL"),
        ("http://[::1", "not a URL"),
        ("http://pictures.example:99999/", "not a URL"),
        ("http://a..example/", "not a URL"),
        ("http://pictures.example/\ud800", "not a URL"),
        ("http://pictures.example/?\ud800", "not a URL"),
        ("http://pictures.example:0/", "port not allowed: 0"),
        ("http://pictures.example:6379/", "port not allowed: 6379"),
        ("http://me@pictures.example/", "a URL with credentials"),
        ("http://:@pictures.example/", "a URL with credentials"),
    ],
)
def test_an_invalid_url_is_rejected_without_a_connection(server, reference, expected):
    assert expected in reason(server, reference)
    assert not server.connections


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0.0.0.0",
     "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]", "127.0.0.1."],
)  # fmt: skip
def test_ssrf_to_loopback_and_link_local_addresses_is_rejected(server, host):
    images = WebImages(ports=frozenset({server.port}), seconds=3)
    with pytest.raises(ImageError, match=r"not a public address|cannot be fetched"):
        images.open(f"http://{host}:{server.port}/a.png")
    assert not server.connections


@pytest.mark.parametrize("others", [["127.0.0.1"], ["10.0.0.1"], ["fd00::1"], ["::ffff:10.0.0.1"]])
def test_a_host_with_one_private_address_among_others_is_rejected(server, others):
    for addresses in (["8.8.8.8", *others], [*others, "8.8.8.8"]):
        expected = reason(
            server,
            url(server, "/a.png"),
            resolve=lambda host, port, found=addresses: found,
            allowed=is_public,
        )
        assert expected == f"not a public address: {others[0]}"
    assert not server.connections


def test_dns_rebinding_has_no_effect_because_the_checked_address_is_used(server):
    resolved = []

    def changing(host, port):
        resolved.append(host)
        return ["127.0.0.1"] if len(resolved) == 1 else ["10.0.0.1"]

    assert client(server, resolve=changing).open(url(server, "/a.png")).digest
    assert resolved == ["pictures.example"]
    assert server.requests[0].headers["Host"] == f"pictures.example:{server.port}"


def test_the_next_address_is_used_if_one_does_not_respond(server):
    def two(host, port):
        return ["127.0.0.9", "127.0.0.1"]

    images = client(server, resolve=two, allowed=lambda address: address.is_loopback)
    assert images.open(url(server, "/a.png")).digest


def test_a_host_that_cannot_be_resolved_is_rejected(server):
    def unknown(host, port):
        raise socket.gaierror("unknown")

    assert "not resolved" in reason(server, url(server, "/"), resolve=unknown)
    assert "not resolved" in reason(server, url(server, "/"), resolve=lambda host, port: [])
    started = time.monotonic()
    expected = reason(
        server, url(server, "/"), seconds=0.3, resolve=lambda host, port: time.sleep(2) or []
    )
    assert expected.startswith("timeout: ") and time.monotonic() - started < 1.5


def test_a_closed_port_is_rejected(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    expected = reason(server, f"http://pictures.example:{port}/", ports=frozenset({port}))
    assert expected.startswith("cannot be fetched")


@pytest.fixture
def secure(tmp_path: Path, monkeypatch) -> Iterator[Server]:
    """A server with a certificate for pictures.example that the client trusts."""
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    server = Server(quoted(RESPONSES))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(module, "_tls", lambda: ssl.create_default_context(cafile=str(path)))
    yield server
    server.shutdown()
    server.server_close()


def test_the_certificate_is_verified_for_the_host_name(secure):
    address = f"https://pictures.example:{secure.port}/a.png"
    assert client(secure, seconds=5).open(address).pixels().shape == (40, 60, 3)
    expected = reason(secure, f"https://other.example:{secure.port}/a.png", seconds=5)
    assert "certificate verify failed" in expected


def test_an_untrusted_certificate_is_rejected(secure, monkeypatch):
    monkeypatch.undo()
    expected = reason(secure, f"https://pictures.example:{secure.port}/a.png", seconds=5)
    assert "certificate verify failed" in expected


def test_a_slow_tls_server_causes_a_timeout(secure):
    expected = reason(secure, f"https://pictures.example:{secure.port}/slow body", seconds=1)
    assert expected == "timeout: over 1 seconds"


def test_a_missing_tls_handshake_causes_a_timeout(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        expected = reason(
            server, f"https://pictures.example:{port}/", ports=frozenset({port}), seconds=0.4
        )
    assert expected.startswith("timeout: ")


def test_the_client_can_be_pickled(server):
    images = pickle.loads(pickle.dumps(client(server)))
    assert images.open(url(server, "/a.png")).digest
