"""Bulk annotation: interruptions, memory over many posts, and speed with distinct images.

    python benchmarks/bulk.py kills  MODEL --kills 100 --posts 5000
    python benchmarks/bulk.py memory MODEL --posts 5000 --posts 100000
    python benchmarks/bulk.py images MODEL --n-process 2

MODEL is a saved pipeline, such as training/mner-0/model-best of `spacy project run all`. Posts are
those of the sample corpus, repeated, each with a unique word.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import srsly
import torch
import typer
from PIL import Image

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.engines import processes
from spacy_mner.annotate.run import ProgressCallbacks, annotate
from spacy_mner.annotate.task import Task
from spacy_mner.images.decoding import decode
from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite

ASSETS = Path(__file__).parent.parent / "assets"
KILLED = -9

# Of images, and the first chunks of each process, during which it loads the pipeline.
IMAGE_SIZE, WARM_UP = (640, 480), 1

app = typer.Typer(add_completion=False)


def write_posts(path: Path, n: int) -> Path:
    """Write posts of the sample corpus, repeated, each with a unique word."""
    given = [post for part in ("train", "dev", "test") for post in _read(part)]
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            post = given[i % len(given)]
            record = {"id": i, "text": f"{post['text']} w{i:x}q", "image": post["image"]}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def _read(part: str) -> list[dict]:
    return list(srsly.read_jsonl(ASSETS / f"{part}.jsonl"))


def command(model: str, source: Path, target: Path) -> list[str]:
    words = [sys.executable, "-m", "spacy", "mner", "annotate", model, str(source), str(target)]
    return [*words, "--images-root", str(ASSETS)]


@app.command()
def kills(
    model: str,
    kills: Annotated[int, typer.Option(help="Number of killed runs.")] = 100,
    posts: Annotated[int, typer.Option(help="Posts of the input.")] = 5000,
    n_process: Annotated[int, typer.Option(help="Processes of a run.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Kill runs (SIGKILL) at random times, resume them, and compare with an uninterrupted run."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_posts(folder / "posts.jsonl", posts)
        complete, target = folder / "complete.jsonl", folder / "out.jsonl"
        start = time.perf_counter()
        subprocess.run(command(model, source, complete), check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        expected = complete.read_bytes()
        killed = finished = 0
        while killed < kills:
            words = [*command(model, source, target), "--n-process", str(n_process)]
            if _run(words, draw.uniform(0, seconds)) == KILLED:
                killed += 1
                continue
            finished += 1
            if target.read_bytes() != expected:
                raise SystemExit(f"After {killed} kills the output differs.")
            target.unlink()
        _run([*command(model, source, target)], None)
        same = target.read_bytes() == expected
    print(
        f"{killed} kills over {posts} posts, {finished + 1} outputs finished, "
        f"{'all equal byte by byte' if same else 'THE LAST DIFFERS'}"
    )
    raise SystemExit(not same)


def _run(words: list[str], seconds: float | None) -> int:
    """Run a command, kill it after a number of seconds, and return its exit code."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@app.command()
def memory(
    model: str,
    posts: Annotated[list[int], typer.Option(help="Posts; repeatable.")],
) -> None:
    """Measure peak memory and speed for inputs of several lengths."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in posts:
            source = write_posts(folder / f"{n}.jsonl", n)
            start = time.perf_counter()
            peak = peak_of(command(model, source, folder / f"out-{n}.jsonl"))
            rows.append((n, peak, time.perf_counter() - start))
    first = rows[0][1]
    print("| posts | peak memory | relative to the first | posts per second, loading included |")
    print("|-|-|-|-|")
    for n, peak, seconds in rows:
        print(f"| {n:,} | {peak / 2**20:,.0f} MiB | {peak / first:.2f} | {n / seconds:,.0f} |")


def peak_of(words: list[str]) -> int:
    """Return the maximum resident set size of a command in bytes."""
    import os

    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed.")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@app.command()
def images(
    model: str,
    n_process: Annotated[int, typer.Option(help="Processes of each side.")] = 2,
    chunks: Annotated[int, typer.Option(help="Measured chunks of a process.")] = 2,
) -> None:
    """Compare with reading, decoding and encoding the same distinct images and nothing else.

    MODEL has EfficientNet-Lite0. Loading is excluded on both sides.
    """
    n = (chunks + WARM_UP) * n_process * SIZE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_images(folder, n)
        source, target = folder / "posts.jsonl", folder / "out.jsonl"
        posts = [*_read("train"), *_read("dev")]
        srsly.write_jsonl(
            source, ({**posts[i % len(posts)], "image": paths[i].name} for i in range(n))
        )
        ends: list[float] = []
        callbacks = ProgressCallbacks(on_chunk=lambda _: ends.append(time.perf_counter()))
        task = Task(model, images_root=folder)
        statistics = annotate(
            task, str(source), str(target), processes(n_process), callbacks=callbacks
        )
        assert statistics.images["used"] == n, statistics.images
        measured = paths[WARM_UP * n_process * SIZE :]
        ours = len(measured) / (ends[-1] - ends[WARM_UP * n_process - 1])
        alone = len(measured) / encode_alone(measured, n_process)
    print(
        f"{len(measured):,} images on {n_process} processes: annotate {ours:.1f} per second, "
        f"encoding alone {alone:.1f}, ratio {ours / alone:.2f}"
    )


def write_images(folder: Path, n: int) -> list[Path]:
    """Write distinct JPEG files: images of the sample corpus, cropped at random and enlarged."""
    draw = random.Random(0)
    sources = sorted((ASSETS / "images").glob("*.jpg"))
    paths = [folder / f"{i}.jpg" for i in range(n)]
    for path in paths:
        with Image.open(draw.choice(sources)) as image:
            left, top = (draw.uniform(0, 0.2) * side for side in image.size)
            box = (left, top, image.width - left / 2, image.height - top / 2)
            image.convert("RGB").resize(IMAGE_SIZE, box=box).save(path, quality=90)
    return paths


def encode_alone(paths: list[Path], n_process: int) -> float:
    """Return the seconds in which processes read, decode and encode images, once they are ready."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(n_process + 1)
    with context.Pool(n_process, _load_encoder, (ready,)) as pool:
        ready.wait()
        start = time.perf_counter()
        pool.map(_encode, paths, chunksize=16)
        return time.perf_counter() - start


def _load_encoder(ready: Any) -> None:
    global _encoder
    torch.set_num_threads(1)
    _encoder = EfficientNetLite()
    _encode(ASSETS / _read("dev")[0]["image"])
    ready.wait()


def _encode(path: Path) -> None:
    _encoder.compute([decode(path.read_bytes())])


if __name__ == "__main__":
    app()
