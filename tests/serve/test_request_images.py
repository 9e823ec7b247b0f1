from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from fastapi import Request

from spacy_mner.errors import ImageError
from spacy_mner.images.reference import BytesImage
from spacy_mner.images.safety.web_images import WebImages
from spacy_mner.serve.annotate_requests import RequestParser
from spacy_mner.serve.request_bodies import BodyReader
from spacy_mner.serve.request_images import RequestImages
from spacy_mner.serve.server_settings import ServerSettings

from ..images.safety.server import PNG, Server, serve


def slow(handler):
    time.sleep(0.5)
    serve()(handler)


@pytest.fixture(scope="module")
def server():
    running = Server({"/slow.png": slow, "/a.png": serve()})
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


REQUEST = Request({"type": "http", "state": {"held_bytes": 0}})


class LocalParser(RequestParser):
    """A parser that fetches from the local server."""

    def __init__(self, server, **settings):
        super().__init__(ServerSettings("model", allow_urls=True, **settings))
        self._web = WebImages(
            ports=frozenset({server.port}),
            resolve=lambda host, port: ["127.0.0.1"],
            allowed=lambda address: True,
        )
        self.url = f"http://pictures.example:{server.port}"

    async def read(self, path, n):
        """The opened images of a request for the same one n times, and the bytes that are held."""
        body = json.dumps({"posts": [{"text": "a", "image": [self.url + path] * n}]}).encode()

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        headers = [(b"content-type", b"application/json")]
        request = Request({"type": "http", "headers": headers}, receive)
        async with self.bodies.read(request) as content:
            [post] = await self.parse(request, content)
            return post.images, request.state.held_bytes - len(body)


def masked(images):
    return [str(image) for image in images if isinstance(image, ImageError)]


def test_the_images_of_a_request_are_fetched_at_once(server):
    start = time.monotonic()
    images, n_bytes = asyncio.run(LocalParser(server).read("/slow.png", 16))
    assert time.monotonic() - start < 4
    assert masked(images) == []
    assert n_bytes == 16 * len(PNG)


def test_images_that_are_not_fetched_in_time_are_masked(server):
    start = time.monotonic()
    images, _ = asyncio.run(LocalParser(server, timeout=0.8).read("/slow.png", 32))
    assert time.monotonic() - start < 3
    assert masked(images) and all(one.startswith("timeout: ") for one in masked(images))


def test_fetched_images_beyond_the_memory_of_requests_are_masked(server):
    async def read_twice():
        parser = LocalParser(server, max_body_megabytes=(3 * len(PNG) + 500) / 8e6)
        for _ in range(2):  # the memory of the first request is free again
            images, n_bytes = await parser.read("/a.png", 5)
            assert 0 < n_bytes <= 3 * len(PNG)
            assert len(masked(images)) == 5 - n_bytes // len(PNG)
            assert all("Too many large requests" in one for one in masked(images))

    asyncio.run(read_twice())


@pytest.mark.parametrize(
    ("error", "shown"), [(ImageError("broken"), "broken"), (OSError("a post"), "OSError")]
)
def test_an_image_that_cannot_be_fetched_is_masked_and_quotes_no_post(error, shown):
    def fetch(seconds):
        raise error

    images = RequestImages(5, BodyReader(100, 100, 5))
    [[image], []] = asyncio.run(images.fetch(REQUEST, [[fetch], []]))
    assert isinstance(image, ImageError) and image is not error
    assert str(image) == shown


def test_many_slow_images_of_a_request_leave_threads_to_others():
    ended = threading.Event()

    def slow(seconds):
        ended.wait(seconds)
        raise ImageError("slow")

    async def fetch():
        images = RequestImages(30, BodyReader(100, 100, 5))
        first = asyncio.create_task(images.fetch(REQUEST, [[slow] * 100]))
        await asyncio.sleep(0.1)
        start = time.monotonic()
        [[image]] = await images.fetch(REQUEST, [[lambda seconds: BytesImage(b"")]])
        ended.set()
        await first
        return image, time.monotonic() - start

    image, seconds = asyncio.run(fetch())
    assert isinstance(image, BytesImage) and seconds < 5
