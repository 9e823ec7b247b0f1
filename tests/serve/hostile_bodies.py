"""Reads bodies of JSON that are costly to parse, in a process whose memory a test watches."""

from __future__ import annotations

import asyncio
import sys
import time

from fastapi import HTTPException, Request

from spacy_mner.serve.annotate_requests import RequestParser
from spacy_mner.serve.server_settings import ServerSettings

N_BYTES = 8_000_000
POST = '{"posts":[{"text":"a","%s":[%s]}]}'


def repeated(item: str, template: str = '{"posts":[%s]}') -> str:
    return template.replace("%s", ",".join([item] * (N_BYTES // (len(item) + 1))))


def in_post(key: str, item: str) -> str:
    return repeated(item, POST.replace("%s", key, 1))


def unknown_keys() -> str:
    keys = ",".join(f'"{number}":1' for number in range(N_BYTES // 9))
    return '{"posts":[{"text":"a",' + keys + "}]}"


BODIES = {
    "numbers": lambda: repeated("1"),
    "nulls": lambda: repeated("null"),
    "empty objects": lambda: repeated("{}"),
    "wrong objects": lambda: repeated('{"a":1}'),
    "lists": lambda: repeated("[]"),
    "deep": lambda: "[" * N_BYTES,
    "many deep": lambda: repeated("[" * 150 + "]" * 150),
    "a few deep": lambda: '{"posts":' + "[" * 100_000 + "]" * 100_000 + "}",
    "strings": lambda: repeated('"a"'),
    "quotes": lambda: '"' * N_BYTES,
    "escapes": lambda: repeated("x").replace("x", '"').replace(",", '\\"'),
    "unknown keys": unknown_keys,
    "images": lambda: in_post("image", "1"),
    "lists of images": lambda: in_post("image", "[]"),
    "images that are objects": lambda: in_post("image", '{"a":1}'),
    "objects": lambda: in_post("image_objects", "1"),
    "features": lambda: in_post("image_features", "null"),
    "lists of features": lambda: in_post("image_features", "[null]"),
    "a wrong feature after many": lambda: in_post("image_features", "0.1").replace("1]", "1,{}]"),
    "a long text": lambda: POST.replace('"%s":[%s]', '"image_text":"' + "a" * N_BYTES + '"'),
}


def status_of(body: bytes) -> int:
    """The status that a body is answered with."""
    parser = RequestParser(ServerSettings("model"))
    headers = [(b"content-type", b"application/json")]
    try:
        asyncio.run(parser.parse(Request({"type": "http", "headers": headers}), body))
    except HTTPException as error:
        return error.status_code
    return 200


if __name__ == "__main__":
    # What the first request imports is not counted.
    status_of(b"{}" + b" " * (1 << 20))
    for line in sys.stdin:
        body = BODIES[line.strip()]().encode()
        print("ready", flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        status = status_of(body)
        print(status, time.perf_counter() - start, flush=True)
