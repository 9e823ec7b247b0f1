from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import spacy

from spacy_mner.serve.http_server import PrivateApplication

from .conftest import pipeline_that, serving

REQUEST = json.dumps({"posts": [{"text": "hi Bob Dylan lynx"}]}).encode()
HEAD = (
    "POST /v1/annotate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(REQUEST)}\r\n"
).encode()


def connect(url):
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.settimeout(30)
    return connection


def read_all(connection):
    with contextlib.suppress(ConnectionError):
        return b"".join(iter(lambda: connection.recv(4096), b""))
    return b""


def entities(response):
    return [entity["text"] for entity in response.json()["posts"][0]["entities"]]


def annotate(url):
    headers = {"Content-Type": "application/json"}
    return httpx.post(f"{url}v1/annotate", content=REQUEST, headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),  # nothing
        (HEAD[:40], b""),  # a part of the headers
        (HEAD + b"\r\n" + REQUEST[:5], b"408"),  # a part of the body
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /hea", b"200"),  # a part of a second one
    ],
)
def test_a_client_that_hangs_is_disconnected_and_costs_nobody_an_answer(url, sent, answer):
    with connect(url) as hanging:
        hanging.sendall(sent)
        assert entities(annotate(url)) == ["Bob Dylan"]
        start = time.monotonic()
        received = read_all(hanging)
        assert time.monotonic() - start < 8
    assert answer in received[:20] and bool(answer) == bool(received)


def test_a_body_that_arrives_drop_by_drop_ends_in_time(url):
    stop = threading.Event()

    def drip(connection):
        with contextlib.suppress(OSError):
            while not stop.wait(0.2):
                connection.sendall(b" ")

    with connect(url) as slow:
        slow.sendall(HEAD.replace(b"Content-Length: ", b"Content-Length: 10") + b"\r\n")
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        assert entities(annotate(url)) == ["Bob Dylan"]
        assert b" 408 " in slow.recv(4096)
        stop.set()
        thread.join()


@pytest.mark.parametrize("target", ["GET /healthz", "POST /nowhere", "POST /v1/annotate"])
def test_a_body_that_goes_on_after_the_answer_ends_in_time(url, target):
    head = f"{target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"
    start = time.monotonic()
    with connect(url) as dripping, contextlib.suppress(ConnectionError):
        dripping.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode())
        while time.monotonic() < start + 10:
            dripping.sendall(b" ")
            time.sleep(0.1)
    assert time.monotonic() - start < 8


def test_requests_that_cannot_be_read_are_not_logged(url, monkeypatch):
    records = []
    monkeypatch.setattr(logging.Logger, "callHandlers", lambda _, record: records.append(record))
    form = b"multipart/form-data; boundary=a\r\nConnection: close"
    for sent, status in (
        (HEAD.replace(b"application/json", form) + b"\r\n" + REQUEST, b" 422 "),
        (b"a private post\r\n\r\n", b" 400 "),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: a\r\n\r\n",
            b" 200 ",
        ),
    ):
        with connect(url) as connection:
            connection.sendall(sent)
            assert status in read_all(connection)
    assert not records


@pytest.mark.parametrize("path", ["", "healthz", "health"])
def test_head_is_answered_as_get_without_a_body(url, path):
    expected, answer = httpx.get(url + path), httpx.head(url + path)
    assert answer.status_code == 200 and not answer.content
    assert answer.headers["Content-Length"] == expected.headers["Content-Length"]


def test_posts_of_a_client_that_has_left_are_not_computed(tmp_path):
    pattern = pipeline_that(
        f"open({str(tmp_path / 'computed')!r}, 'a').write(doc.text)", on="", folder=tmp_path
    )
    with serving(**pattern, max_wait=2) as url:
        with connect(url) as leaving:
            leaving.sendall(HEAD + b"\r\n" + REQUEST)
            while not httpx.get(f"{url}healthz").json()["waiting"]:
                time.sleep(0.05)
        assert httpx.post(f"{url}v1/annotate", json={"posts": [{"text": "hi"}]}).is_success
    assert (tmp_path / "computed").read_text() == "hi"


def test_a_connection_may_be_used_for_longer_than_the_time_for_a_request(url):
    end = time.monotonic() + 3  # the time for a request is 2 s
    with connect(url) as kept:
        while time.monotonic() < end:
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b" 200 " in kept.recv(4096)
            time.sleep(0.05)


def test_clients_that_disconnect_cost_nobody_an_answer(url):
    for _ in range(10):
        for sent in (HEAD, HEAD + b"\r\n" + REQUEST[:9], HEAD + b"\r\n" + REQUEST):
            with connect(url) as leaving:
                leaving.sendall(sent)
    assert entities(annotate(url)) == ["Bob Dylan"]


def test_a_client_that_does_not_read_its_answer_is_disconnected(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "A", "pattern": "a"}])
    nlp.to_disk(tmp_path)
    # An answer of some 20 MB, more than the buffers of the system hold.
    body = json.dumps({"posts": [{"text": "a " * 2_000}] * 128}).encode()
    head = HEAD.replace(str(len(REQUEST)).encode(), str(len(body)).encode())
    with serving(tmp_path, timeout=1) as url, connect(url) as hanging:
        hanging.sendall(head + b"\r\n" + body)
        received = hanging.recv(1 << 10)
        time.sleep(3)
        received += read_all(hanging)
    length = int(received.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert len(received) < length


def test_an_error_is_logged_without_its_message(caplog):
    async def failing(scope, receive, send):
        raise KeyError(post)

    post = "a private post"
    scope = {"type": "http", "method": "GET", "path": "/"}
    asyncio.run(PrivateApplication(failing)(scope, None, None))
    assert "KeyError" in caplog.text and "failing" in caplog.text
    assert "private" not in caplog.text


def test_an_error_in_the_pipeline_is_that_of_its_post(tmp_path, caplog):
    failing = pipeline_that("raise KeyError(doc.text)", on="secret", folder=tmp_path)
    with serving(**failing) as url:
        posts = [{"text": "hi"}, {"text": "a secret"}, {"text": "hi"}]
        answers = httpx.post(f"{url}v1/annotate", json={"posts": posts}).json()["posts"]
    assert [bool(one["error"]) for one in answers] == [False, True, False]
    assert "secret" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_in_flight_finish_and_logs_nothing_of_them(model, tmp_path, number):
    command = [sys.executable, "-m", "spacy", "mner", "serve", model, "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    # The request waits in the queue when the signal arrives.
    with subprocess.Popen(
        [*command, "--max-wait", "1500"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        lines = []
        while not lines or not lines[-1].startswith("http://127.0.0.1:"):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        answers = []
        thread = threading.Thread(target=lambda: answers.append(annotate(lines[-1].strip() + "/")))
        thread.start()
        time.sleep(0.7)
        process.send_signal(number)
        thread.join(60)
        rest = process.stderr.read()
        assert process.wait(60) == 0
    assert entities(answers[0]) == ["Bob Dylan"]
    assert rest == "Finishing 1 request in flight.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_address_ends_the_server_without_an_error(model, number):
    command = [sys.executable, "-m", "spacy", "mner", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not process.stderr.readline().startswith("http://127.0.0.1:"):
            assert process.poll() is None
        process.send_signal(number)
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_signal_while_the_pipeline_is_loaded_ends_the_server_without_an_error(model):
    command = [sys.executable, "-m", "spacy", "mner", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_a_port_in_use_and_wrong_arguments_are_errors_of_the_command(tmp_path):
    from typer.testing import CliRunner

    from spacy_mner.cli.app import app

    before = signal.getsignal(signal.SIGINT)
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = str(used.getsockname()[1])
        for arguments, cause in (
            (["model", "--port", port], f"Port {port} of 127.0.0.1 is in use: choose another"),
            ([str(tmp_path / "gone"), "--port", "0"], "gone"),
            (
                ["model", "--port", "0", "--max-queue", "10"],
                "Raise --max-queue or lower --max-posts",
            ),
        ):
            result = CliRunner().invoke(app, ["serve", *arguments])
            assert result.exit_code == 1
            assert result.stderr.startswith("✘ ") and cause in result.stderr
    assert signal.getsignal(signal.SIGINT) is before
