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
from .server import CERTIFICATE, PNG, Answer, Server, drip, serve, talk

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
    "/text": serve(b"no image at all"),
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
    "/no http": talk(b"SSH-2.0-OpenSSH\r\n"),
    "/to a": serve(b"", status=302, location="/a.png"),
    "/circle": serve(b"", status=301, location="/circle"),
    "/to file": serve(b"", status=302, location="file:///etc/passwd"),
    "/to ftp": serve(b"", status=307, location="ftp://pictures.example/a.png"),
    "/to private": serve(b"", status=302, location="http://10.0.0.1/a.png"),
    "/to local": serve(b"", status=308, location="http://[::1]/a.png"),
    "/to port": serve(b"", status=302, location="http://pictures.example:22/"),
    "/to user": serve(b"", status=303, location="http://me:pass@pictures.example/a.png"),
    "/to no url": serve(b"", status=302, location="//[::1"),
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


def client(server: Server, **options) -> WebImages:
    defaults = {
        "limits": Limits(bytes=100_000, pixels=10_000),
        "seconds": 1.5,
        "ports": frozenset({80, server.port}),
        "resolve": here,
        "allowed": this_machine,
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
def test_an_image_on_the_web_is_an_image(server, path):
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
        ("/page", "not an image: content of type text/html"),
        ("/untyped", "not an image: content of type unknown"),
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
        ("/to no url", "a redirect to no URL"),
    ],
)
def test_what_a_server_must_not_do_is_refused(server, path, words):
    assert words in reason(server, url(server, path), seconds=10)


@pytest.mark.parametrize("path", ["/slow body", "/slow head", "/hints", "/silent"])
def test_a_server_that_drips_or_sleeps_is_left_in_time(server, path):
    started = time.monotonic()
    assert reason(server, url(server, path), seconds=0.4) == "took over 0.4 seconds to fetch"
    assert time.monotonic() - started < 3


def test_redirects_share_the_time_of_one_image(server):
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
def test_content_that_is_no_image_shows_when_it_is_decoded(server, path):
    image = client(server).open(url(server, path))
    with pytest.raises(ImageError):
        image.pixels()


def test_what_was_fetched_is_under_the_limits_of_untrusted_images(server):
    image = WebImages(ports=frozenset({server.port}), resolve=here, allowed=this_machine).open(
        url(server, "/a.png")
    )
    assert image.limits.formats and "EPS" not in image.limits.formats


@pytest.mark.parametrize(
    "reference, words",
    [
        ("file:///etc/passwd", "not a URL of the web"),
        ("snap.png", "not a URL of the web"),
        ("http://", "not a URL of the web"),
        ("http://[::1", "not a URL"),
        ("http://pictures.example:99999/", "not a URL"),
        ("http://a..example/", "not a URL"),
        ("http://pictures.example/\ud800", "not a URL"),
        ("http://pictures.example/?\ud800", "not a URL"),
        ("http://pictures.example:0/", "a URL of port 0"),
        ("http://pictures.example:6379/", "a URL of port 6379"),
        ("http://me@pictures.example/", "a URL with a name or password"),
        ("http://:@pictures.example/", "a URL with a name or password"),
    ],
)
def test_what_is_no_url_of_an_image_is_refused_unasked(server, reference, words):
    assert words in reason(server, reference)
    assert not server.connections


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0.0.0.0",
     "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]", "127.0.0.1."],
)  # fmt: skip
def test_this_machine_is_not_the_web_by_any_name(server, host):
    images = WebImages(ports=frozenset({server.port}), seconds=3)
    with pytest.raises(ImageError, match=r"not a public address|cannot be fetched"):
        images.open(f"http://{host}:{server.port}/a.png")
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

    images = client(server, resolve=two, allowed=lambda address: address.is_loopback)
    assert images.open(url(server, "/a.png")).digest


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
    images = pickle.loads(pickle.dumps(client(server)))
    assert images.open(url(server, "/a.png")).digest
