from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
from fastapi import Request

from spacy_mner.errors import ImageError
from spacy_mner.serve.request_bodies import BodyReader
from spacy_mner.serve.request_images import RequestImages
from spacy_mner.serve.server_settings import ServerSettings
from spacy_mner.serve.task_images import TaskImages


@pytest.fixture
def label_studio(images):
    """A server that serves car.png to who has its token; it records the paths and tokens."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers["Authorization"]))
            if self.path == "/data/slow":
                time.sleep(1)
            if self.path.startswith("/data/moved"):
                self.send_response(302)
                self.send_header("Location", "/data/upload/1/car.png")
                self.end_headers()
                return
            if "*/*" not in self.headers["Accept"]:
                self.send_error(406)  # as Label Studio 1.23 does
                return
            self.send_response(200 if self.headers["Authorization"] == "Token key" else 401)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # a client that did not wait
                self.wfile.write((images / "car.png").read_bytes())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.seen = seen
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


@pytest.fixture
def open_images():
    """Opens references under the options of a server: the image status, without a pipeline."""

    def opened(reference, seconds=30, memory=1_000_000, **options):
        sources = TaskImages(ServerSettings("model", **options)).find_all([[reference]])
        images = RequestImages(seconds, BodyReader(0, memory, 0))
        request = Request({"type": "http", "state": {"held_bytes": 0}})
        [[image]] = anyio.run(images.fetch, request, sources)
        return str(image) if isinstance(image, ImageError) else "opened"

    return opened


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("/data/upload/1/car.png", "opened"),
        ("{url}/data/upload/1/car.png", "opened"),
        ("/data/local-files/?d=car.png", "opened"),
        ("/data/moved", "too many redirects"),
        ("/api/projects", "a path"),
        ("{url}/api/projects", "a URL"),
        ("http://127.0.0.1:1/data/upload/1/car.png", "a URL"),
        ("http://user@{host}/data/upload/1/car.png", "a URL"),
        ("http://{host}.example.com/data/upload/1/car.png", "a URL"),
        ("//127.0.0.1:1/data/upload/1/car.png", "a path"),
        ("/data/../api/projects", "a path"),
        ("/data/%2e%2e/api/projects", "a path"),
    ],
)
def test_images_are_fetched_from_label_studio_and_from_no_other_host(
    open_images, label_studio, reference, expected
):
    host = label_studio.url.removeprefix("http://")
    options = {"label_studio_url": label_studio.url, "label_studio_token": "key"}
    found = open_images(reference.format(url=label_studio.url, host=host), **options)
    assert found.startswith(expected)
    assert bool(label_studio.seen) == (expected in ("opened", "too many redirects"))


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("/ls/data/upload/1/car.png", "opened"),
        ("{url}/ls/data/upload/1/car.png", "opened"),
        ("/data/upload/1/car.png", "a path"),
        ("/lsd/data/upload/1/car.png", "a path"),
        ("/ls/../data/upload/1/car.png", "a path"),
        ("/ls/api/projects", "a path"),
    ],
)
def test_label_studio_may_be_below_a_path(open_images, label_studio, reference, expected, slash):
    url = label_studio.url
    options = {"label_studio_url": f"{url}/ls{slash}", "label_studio_token": "key"}
    assert open_images(reference.format(url=url), **options).startswith(expected)
    assert bool(label_studio.seen) == (expected == "opened")


def test_a_wrong_token_masks_the_image(open_images, label_studio):
    options = {"label_studio_url": label_studio.url, "label_studio_token": "other"}
    assert open_images("/data/upload/1/car.png", **options) == "HTTP status: 401"


def test_an_image_that_is_too_large_for_the_memory_of_requests_is_masked(open_images, label_studio):
    options = {"label_studio_url": label_studio.url, "label_studio_token": "key"}
    found = open_images("/data/upload/1/car.png", memory=10, **options)
    assert found.startswith("not fetched: Too many large requests")


@pytest.mark.parametrize("name", ["", "{url}"])
def test_an_image_that_takes_too_long_is_masked(open_images, label_studio, name):
    options = {"label_studio_url": label_studio.url, "label_studio_token": "key"}
    reference = name.format(url=label_studio.url) + "/data/slow"
    assert open_images(reference, seconds=0.2, **options).startswith("timeout: over 0.2")
    assert open_images(reference, **options) == "opened"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("/data/local-files/?d=car.png", "opened"),
        ("/data/local-files/?x=1&d=car.png", "opened"),
        ("http://localhost:8080/data/local-files/?d=car.png", "opened"),
        ("http://localhost:8080/ls/data/local-files/?d=car.png", "opened"),
        ("/data/local-files/?d=../conftest.py", "outside the image folder"),
        ("/data/local-files/?d=%2Fetc%2Fpasswd", "outside the image folder"),
        ("/data/local-files/?d=gone.png", "no such file"),
        ("car.png", "a path"),
        ("/data/upload/1/car.png", "a path"),
        ("/data/local-files/", "a path"),
        ("/data/upload/?d=car.png", "a path"),
        ("http://[", "ValueError"),
    ],
)
def test_local_files_are_those_below_the_images_root(open_images, images, reference, expected):
    options = {"label_studio_url": "http://localhost:8080/ls/"} if "/ls/" in reference else {}
    assert open_images(reference, images_root=images, **options).startswith(expected)
