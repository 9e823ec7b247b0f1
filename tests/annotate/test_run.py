"""Interrupted runs continue, and their output equals that of an uninterrupted run."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.engines import inline, processes
from spacy_mner.annotate.run import ProgressCallbacks, summary_path
from spacy_mner.annotate.run_folder import read_json
from spacy_mner.annotate.statistics import Statistics
from spacy_mner.annotate.task import Columns
from spacy_mner.errors import MNERError, UsageError

from .conftest import (
    interrupt,
    make_rows,
    no_engine,
    read_jsonl,
    run,
    run_interrupted,
    write_jsonl,
)

N = 2 * SIZE + 30


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory):
    """An input, and the output of an uninterrupted run as bytes."""
    folder = tmp_path_factory.mktemp("whole")
    source = write_jsonl(folder / "posts.jsonl", make_rows(N))
    run(task, source, folder / "out.jsonl")
    return source, (folder / "out.jsonl").read_bytes()


def command(task, source, target, *options):
    words = [sys.executable, "-m", "spacy", "mner", "annotate", task.model, source]
    words += [target, "--images-root", str(task.images_root), "--attention"]
    return [*words, "--max-length", str(task.max_length), *options]


def stdin(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_the_output_has_every_row_in_order_and_a_summary(task, posts, tmp_path, target):
    statistics = run(task, posts(N), target)
    rows = read_jsonl(target)
    assert [row["id"] for row in rows] == list(range(N))
    assert statistics.posts == N and statistics.failed == 0
    assert statistics.entities.total() == sum(len(row["entities"]) for row in rows) > 0
    assert statistics.images.total() == N
    assert statistics.images.keys() == {"used", "absent", "unreadable"}
    summary = read_json(summary_path(target), delete=target)
    assert (summary["posts"], summary["entities"]) == (N, dict(statistics.entities.most_common()))
    assert set(tmp_path.glob("out*")) == {target, summary_path(target)}


@pytest.mark.parametrize("n_chunks", [0, 1, 2])
def test_an_interrupted_run_continues_and_writes_the_same_bytes(
    whole, task, target, folder, n_chunks
):
    source, expected = whole
    run_interrupted(task, source, target, n_chunks)
    assert not target.exists()
    assert len(list(folder.glob("*.chunk"))) == n_chunks
    starts = []
    callbacks = ProgressCallbacks(on_start=lambda *counts: starts.append(counts))
    statistics = run(task, source, target, callbacks=callbacks)
    assert starts == [(N, n_chunks * SIZE)]
    assert target.read_bytes() == expected and statistics.posts == N


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(whole, task, target):
    source, expected = whole
    run(task, source, target, processes(2))
    assert target.read_bytes() == expected


def test_a_finished_output_is_not_computed_again(task, posts, target):
    source = posts(30)
    assert run(task, source, target) == run(task, source, target, no_engine)


@pytest.mark.parametrize(
    ("n_rows", "removed", "added", "message"),
    [(31, 0, b"", "input"), (30, 10, b"", "has changed"), (30, 0, b"\n", "has changed")],
)
def test_an_output_of_another_input_or_with_another_size_is_kept_unless_forced(
    task, posts, target, n_rows, removed, added, message
):
    run(task, posts(30), target)
    content = target.read_bytes()
    changed = content[: len(content) - removed] + added
    target.write_bytes(changed)
    source = posts(n_rows)
    with pytest.raises(UsageError, match=rf"{message}.*--force"):
        run(task, source, target, no_engine)
    assert target.read_bytes() == changed
    run(task, source, target, force=True)
    assert len(read_jsonl(target)) == n_rows and target.read_bytes().startswith(content)


@pytest.mark.parametrize("summary", [None, '{"posts": 1}'])
def test_an_output_that_no_run_wrote_is_kept(task, posts, tmp_path, summary, target):
    target.write_text("precious")
    if summary:
        summary_path(target).write_text(summary)
    with pytest.raises(UsageError, match="--force"):
        run(task, posts(3), target, no_engine)
    assert target.read_text() == "precious"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("option", ["images_root", "code"])
def test_parts_of_a_run_with_other_options_are_not_reused(task, posts, tmp_path, option, target):
    source = posts(SIZE + 1)
    code = tmp_path / "code.py"
    code.write_text("A = 1")
    task = replace(task, code=code)
    run_interrupted(task, source, target)
    if option == "code":
        code.write_text("A = 2")
    else:
        task = replace(task, images_root=None)
    with pytest.raises(UsageError, match=option):
        run(task, source, target, no_engine)
    assert run(task, source, target, force=True).posts == SIZE + 1


@pytest.mark.parametrize("step", ["concatenate", "summary", "clear"])
def test_a_run_that_was_interrupted_while_it_finished_is_completed(
    whole, task, tmp_path, monkeypatch, step, target
):
    source, expected = whole
    target.write_text("of another run")
    names = {
        "concatenate": "spacy_mner.annotate.formats.jsonl_rows.JsonlSink.concatenate",
        "summary": "spacy_mner.annotate.run._write_summary",
        "clear": "spacy_mner.annotate.run_folder.RunFolder.clear",
    }
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(names[step], interrupt)
        run(task, source, target, force=True)
    assert run(task, source, target, no_engine).posts == N
    assert target.read_bytes() == expected
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("n_deleted", range(8))  # of three chunks, their statistics and run.json
def test_a_kill_while_files_are_deleted_loses_nothing(whole, task, target, folder, n_deleted):
    source, expected = whole
    deleted, unlink = [], Path.unlink

    def stop(path, **options):
        if path.parent.name == folder.name and path.suffix != ".tmp":
            deleted.append(path)
            if len(deleted) > n_deleted:
                raise KeyboardInterrupt
        unlink(path, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", stop)
        run(task, source, target)
    assert folder.exists()
    run(task, source, target, no_engine)
    assert target.read_bytes() == expected and not folder.exists()


def test_input_output_and_images_can_be_moved_during_a_run(task, tmp_path, images):
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(images, old / "images")
    write_jsonl(old / "posts.jsonl", make_rows(N))

    def arguments(folder):
        with_root = replace(task, images_root=folder / "images")
        return with_root, folder / "posts.jsonl", folder / "out.jsonl"

    run_interrupted(*arguments(old))
    old.rename(new)
    run(*arguments(new))
    assert len(read_jsonl(new / "out.jsonl")) == N
    assert str(tmp_path) not in summary_path(new / "out.jsonl").read_text()


def test_standard_input_is_never_assumed_to_be_the_same(task, monkeypatch, target):
    stdin(monkeypatch, b'{"text": "first"}')
    run(task, "-", target)
    stdin(monkeypatch, b'{"text": "second"}')
    with pytest.raises(UsageError, match="--force"):
        run(task, "-", target, no_engine)
    run(task, "-", target, force=True)
    assert read_jsonl(target)[0]["text"] == "second"


def test_standard_input_is_written_as_jsonl_and_loses_no_column(
    task, tmp_path, monkeypatch, target
):
    for name in ("out.csv", "out.parquet"):
        with pytest.raises(UsageError, match=name):
            run(task, "-", tmp_path / name, no_engine)
    stdin(monkeypatch, b'{"text": "a", "error": "mine"}')
    with pytest.raises(UsageError, match=r"'error'.*--prefix"):
        run(task, "-", target)


def test_an_output_that_is_the_input_or_a_folder_is_refused(task, posts, tmp_path):
    source = posts(3)
    (tmp_path / "folder.jsonl").mkdir()
    for target in (source, tmp_path / "folder.jsonl"):
        with pytest.raises(UsageError, match=target.name):
            run(task, source, target, no_engine, force=True)
    assert len(read_jsonl(source)) == 3 and not list(tmp_path.glob("*.part"))


def test_a_second_run_with_the_same_output_is_refused(task, posts, target):
    source = posts(3)

    def second_run(job, chunks):
        with pytest.raises(UsageError, match=r"out\.jsonl\.part"):
            run(task, source, target, no_engine)
        yield from inline(job, chunks)

    assert run(task, source, target, second_run).posts == 3


def test_a_missing_image_column_raises_a_warning_if_options_expect_images(task, tmp_path):
    source, warnings = tmp_path / "in.csv", []
    source.write_text("text, image\na,car.png\n")
    callbacks = ProgressCallbacks(on_warning=warnings.append)
    for images_root in (task.images_root, None):
        with pytest.raises(KeyboardInterrupt):
            with_root = replace(task, images_root=images_root)
            run(with_root, source, tmp_path / "out.csv", interrupt, callbacks=callbacks)
    first, second = warnings
    assert "'text', ' image'" in first and "--image" in first
    assert "' image' looks like one" in second


def test_the_first_row_with_an_image_under_another_key_raises_a_warning(task, tmp_path, target):
    rows = [{"text": "a", "image": None, "img": "b.jpg"}, *[{"text": "a", "img": "b.jpg"}] * 3]
    source, warnings = write_jsonl(tmp_path / "in.jsonl", rows), []
    run(task, source, target, inline, callbacks=ProgressCallbacks(on_warning=warnings.append))
    [warning] = warnings
    assert warning.startswith("Row 2 ") and "'img'" in warning and "'image'" in warning


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        (Columns(text="body"), {"text": "a", "id": 1}, r"'body'.*'text', 'id'"),
        (Columns(image="photo"), {"text": "a", "id": 1}, r"'photo'.*'text', 'id'"),
        (Columns(), {f"{i}" * 200: i for i in range(900)}, r"'text'.* and 870 more"),
        (Columns(), {"text": "a", "entities": []}, r"'entities'.*--prefix"),
    ],
)
def test_missing_and_taken_columns_are_refused_before_the_pipeline_is_loaded(
    task, tmp_path, target, columns, row, message
):
    source = write_jsonl(tmp_path / "in.jsonl", [row])
    with pytest.raises(UsageError, match=message) as error:
        run(replace(task, columns=columns), source, target, no_engine)
    assert len(str(error.value)) < 5000


@pytest.mark.parametrize(("name", "content"), [("in.jsonl", ""), ("in.csv", "text,image\n")])
def test_an_input_without_rows_has_an_output_without_rows(task, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    target = tmp_path / f"out{Path(name).suffix}"
    assert run(task, tmp_path / name, target, no_engine).posts == 0
    assert target.exists()


def test_long_errors_are_truncated_and_statistics_survive_a_round_trip():
    def failed(error):
        return {"entities": None, "image_status": None, "error": error}

    annotations = [failed("not a line of JSON: " + "x" * 1_000_000), failed("short")]
    statistics = Statistics.of(annotations, first_row=3)
    assert statistics.errors == [(3, "not a line of JSON: " + "x" * 480), (4, "short")]
    assert Statistics.from_json(statistics.to_json()) == statistics


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_kills_at_random_moments_lose_and_repeat_nothing(whole, task, target, folder):
    source, expected = whole
    rng = random.Random(0)
    # Kill the command before any chunk is finished and after every new chunk, then let it finish.
    for n_chunks in (0, 1, 2, None):
        process = subprocess.Popen(command(task, source, target), stderr=subprocess.PIPE)
        if n_chunks is not None:
            while len(list(folder.glob("*.chunk"))) < n_chunks and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.2))
            process.kill()
        _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert target.read_bytes() == expected and not folder.exists()


def children_of(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
def test_workers_of_a_killed_command_end_and_its_lock_is_released(task, tmp_path, target, folder):
    source = write_jsonl(tmp_path / "posts.jsonl", make_rows(40 * SIZE))
    process = subprocess.Popen(command(task, source, target, "--n-process", "2"))
    wait_for(lambda: list(folder.glob("*.chunk")), 120)
    workers = children_of(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    assert not target.exists()
    run_interrupted(task, source, target, 0)  # the lock is free at once
    wait_for(lambda: not any(map(is_running, workers)), 5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_worker_ends_the_run_with_an_error_and_keeps_the_parts(
    whole, task, tmp_path, target
):
    source, expected = whole
    of_other_tests = {*children_of(os.getpid())}  # such as those of a server

    def kill_workers(statistics):
        for pid in {*children_of(os.getpid())} - of_other_tests:
            if b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    callbacks = ProgressCallbacks(on_chunk=kill_workers)
    with pytest.raises(MNERError, match="same command"):
        run(task, source, target, processes(1), callbacks=callbacks)
    assert list((tmp_path / "out.jsonl.part").glob("*.chunk"))
    run(task, source, target)
    assert target.read_bytes() == expected
