"""Load on a server: throughput and latency relative to `nlp.pipe`, and memory with images.

    python benchmarks/serve_load.py throughput MODEL --posts-per-request 16
    python benchmarks/serve_load.py images     MODEL

The server has processes of its own; the clients are this one, on the same cores. Posts are those of
the sample corpus, repeated.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import srsly
import typer
from PIL import Image

from spacy_mner.utils.garbage import freeze_objects

ASSETS = Path(__file__).parent.parent / "assets"
# As the defaults of `spacy-mner serve`.
BATCH_SIZE = 256
MAX_WAIT = 0.005
# Pixels per side of a random image of about 1 MB.
SIDE = 900

Model = Annotated[str, typer.Argument(help="Package name or folder of a pipeline.")]
Clients = Annotated[int, typer.Option(help="Connections, each with one request at a time.")]

app = typer.Typer(add_completion=False)


@app.command()
def throughput(
    model: Model,
    posts_per_request: Annotated[int, typer.Option(help="Posts of a request.")] = 1,
    clients: Clients = 32,
    seconds: Annotated[float, typer.Option(help="Of each of the alternating measurements.")] = 10,
    rounds: Annotated[int, typer.Option(help="Measurements of each side.")] = 3,
) -> None:
    """Compare posts per second with `nlp.pipe`, and the latency with the time of a batch."""
    import spacy

    nlp = spacy.load(model)
    texts = [post["text"] for part in ("train", "dev", "test") for post in read(part)]
    in_flight = min(clients * posts_per_request, BATCH_SIZE)
    pipe, small, served, latencies = [], [], [], []
    bodies = [
        json.dumps({"posts": [{"text": text} for text in chunk]}).encode()
        for chunk in chunks(texts, posts_per_request)
    ]
    with server(model) as (port, _):
        run(port, bodies, clients, seconds=2)  # warm up
        list(nlp.pipe(texts[:BATCH_SIZE]))
        # A garbage collection of this process, with the pipeline of the comparison, would stop all
        # clients for a quarter of a second.
        freeze_objects()
        for _ in range(rounds):
            found = run(port, bodies, clients, seconds)
            served.append(posts_per_request * len(found) / seconds)
            latencies += found
            pipe.append(measure_pipe(nlp, texts, seconds, BATCH_SIZE))
            small.append(measure_pipe(nlp, texts, seconds / 2, in_flight))
    ratios = np.divide(served, pipe)
    p99, bound = np.percentile(latencies, 99), BATCH_SIZE / np.median(pipe) + MAX_WAIT
    print(f"nlp.pipe: {np.median(pipe):,.0f} posts per second")
    print(f"          {np.median(small):,.0f} in batches of {in_flight}, as clients can fill")
    print(f"server:   {np.median(served):,.0f} posts per second, {clients} clients")
    print(f"ratio:    {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"p99:      {p99:.3f} s, {p99 / bound:.2f} times a full batch plus the wait")


def measure_pipe(nlp, texts: list[str], seconds: float, batch_size: int) -> float:
    """Return the posts per second: the median over batches."""
    stream = itertools.cycle(texts)
    times = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        with nlp.memory_zone():
            for _ in nlp.pipe(itertools.islice(stream, batch_size), batch_size=batch_size):
                pass
        times.append(time.perf_counter() - begin)
    return batch_size / float(np.median(times))


@app.command()
def images(
    model: Model,
    clients: Clients = 32,
    seconds: Annotated[float, typer.Option(help="Of each half.")] = 20,
) -> None:
    """Send distinct images of 1 MB; count errors, and measure the peak memory of the server."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    content = buffer.getvalue()

    def body() -> bytes:
        # Bytes after the end of the image make another file, which no cache knows.
        image = base64.b64encode(content + random.randbytes(8)).decode()
        return json.dumps({"posts": [{"text": "finally got my jaguar", "image": image}]}).encode()

    with server(model) as (port, pid):
        before = peak(pid)
        halves = []
        for _ in range(2):
            found = run(port, body, clients, seconds, check='"image_status":"used"')
            halves.append((len(found), peak(pid)))
    print(f"images of {len(content) / 1e6:.2f} MB, {clients} clients, no error")
    for name, (n, memory) in zip(("first", "second"), halves, strict=True):
        print(f"{name} half: {n / seconds:,.1f} per second, peak {memory / before:.2f} x the start")


def peak(pid: int) -> float:
    """Return the sum of the peaks of the resident memory of a process and its children, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    statuses = [Path(f"/proc/{one}/status").read_text() for one in (pid, *children)]
    return sum(int(status.split("VmHWM:")[1].split()[0]) for status in statuses) / 1024


@contextmanager
def server(model: str) -> Iterator[tuple[int, int]]:
    """The port and the process of a server, which must end well."""
    command = [sys.executable, "-m", "spacy", "mner", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("http://"))
        try:
            yield int(line.rsplit(":", 1)[1]), process.pid
        finally:
            os.kill(process.pid, signal.SIGTERM)
            rest = process.stderr.read()
        if process.wait() or rest:
            raise SystemExit(f"The server ended with {process.returncode}: {rest}")


def run(
    port: int,
    bodies: list[bytes] | Callable[[], bytes],
    clients: int,
    seconds: float,
    check: str = '"entities":[',
) -> list[float]:
    """Send requests for some seconds; return the latency of each that was answered by then.

    Exits with an error for an answer that is not 200, or does not contain `check`.
    """
    stream = iter(bodies, None) if callable(bodies) else itertools.cycle(bodies)
    return asyncio.run(_clients(port, stream, clients, seconds, check.encode()))


async def _clients(
    port: int, bodies: Iterator[bytes], clients: int, seconds: float, check: bytes
) -> list[float]:
    end = time.perf_counter() + seconds
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            body = next(bodies)
            head = (
                "POST /v1/annotate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            start = time.perf_counter()
            writer.write(head.encode() + body)
            await writer.drain()
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
            content = await reader.readexactly(length)
            if not answer.startswith(b"http/1.1 200") or check not in content:
                raise SystemExit(f"{answer.decode()}{content[:200].decode()}")
            now = time.perf_counter()
            if now < end:
                latencies.append(now - start)
        writer.close()

    await asyncio.gather(*[client() for _ in range(clients)])
    return latencies


def read(part: str) -> list[dict]:
    return list(srsly.read_jsonl(ASSETS / f"{part}.jsonl"))


def chunks(texts: list[str], size: int) -> Iterator[list[str]]:
    stream = itertools.cycle(texts)
    for _ in range(256):
        yield list(itertools.islice(stream, size))


if __name__ == "__main__":
    app()
