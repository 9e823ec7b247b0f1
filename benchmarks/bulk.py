"""Bulk annotation under load: killed again and again, and over many posts.

    python benchmarks/bulk.py kills  MODEL --kills 100 --posts 5000
    python benchmarks/bulk.py memory MODEL --posts 5000 --posts 100000

MODEL is any saved pipeline; that of `spacy project run all` lies in training/mner-0/model-best.
Posts are the sample's, with words of their own so that no two are alike; images repeat.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import srsly
import typer

ASSETS = Path(__file__).parent.parent / "assets"
KILLED = -9

app = typer.Typer(add_completion=False)


def write_posts(path: Path, n: int) -> Path:
    """The sample's posts over and over, each with a word that no other has."""
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
    kills: Annotated[int, typer.Option(help="Runs that are killed.")] = 100,
    posts: Annotated[int, typer.Option(help="Of the input.")] = 5000,
    n_process: Annotated[int, typer.Option(help="Processes of a run.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Kill (SIGKILL) runs at random moments, go on each time, and compare with a whole run."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_posts(folder / "posts.jsonl", posts)
        whole, target = folder / "whole.jsonl", folder / "out.jsonl"
        start = time.perf_counter()
        subprocess.run(command(model, source, whole), check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        expected = whole.read_bytes()
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
    """The exit code of a command that is killed after so many seconds."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@app.command()
def memory(
    model: str,
    posts: Annotated[list[int], typer.Option(help="Of an input; more than one.")] = [5000, 100_000],  # noqa: B006
) -> None:
    """Peak memory and speed of whole runs over inputs of several lengths."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in posts:
            source = write_posts(folder / f"{n}.jsonl", n)
            start = time.perf_counter()
            peak = peak_of(command(model, source, folder / f"out-{n}.jsonl"))
            rows.append((n, peak, time.perf_counter() - start))
    first = rows[0][1]
    print("| posts | peak memory | against the first | posts per second, loading included |")
    print("|-|-|-|-|")
    for n, peak, seconds in rows:
        print(f"| {n:,} | {peak / 2**20:,.0f} MiB | {peak / first:.2f} | {n / seconds:,.0f} |")


def peak_of(words: list[str]) -> int:
    """The peak memory of a command in bytes, as the system counts it."""
    import os

    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed.")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    app()
