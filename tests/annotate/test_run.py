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
from spacy_mner.annotate.run import ProgressCallbacks, annotate, summary_path
from spacy_mner.annotate.run_folder import read_json
from spacy_mner.annotate.task import Columns
from spacy_mner.errors import MNERError, UsageError

from .conftest import interrupted_after, make_rows, no_engine, read_jsonl, write_jsonl

N = 2 * SIZE + 30


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory):
    """An input, and the output of an uninterrupted run as bytes."""
    folder = tmp_path_factory.mktemp("whole")
    source = write_jsonl(folder / "posts.jsonl", make_rows(N))
    annotate(task, str(source), str(folder / "out.jsonl"), inline)
    return source, (folder / "out.jsonl").read_bytes()


def command(task, source, target, *options):
    words = [sys.executable, "-m", "spacy", "mner", "annotate", task.model, str(source)]
    words += [str(target), "--images-root", str(task.images_root), "--attention"]
    return [*words, "--max-length", str(task.max_length), *options]


def interrupt(*arguments):
    raise KeyboardInterrupt


def stdin(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_the_output_has_every_row_in_order_and_a_summary(task, posts, tmp_path):
    target = tmp_path / "out.jsonl"
    statistics = annotate(task, str(posts(N)), str(target), inline)
    rows = read_jsonl(target)
    assert [row["id"] for row in rows] == list(range(N))
    assert statistics.posts == N and statistics.failed == 0
    assert statistics.entities.total() == sum(len(row["entities"]) for row in rows) > 0
    assert statistics.images.total() == N
    assert statistics.images.keys() == {"used", "absent", "unreadable"}
    summary = read_json(summary_path(target), delete=target)
    assert (summary["posts"], summary["entities"]) == (N, dict(statistics.entities.most_common()))
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.jsonl",
        "out.jsonl.summary.json",
    ]


@pytest.mark.parametrize("n_parts", [0, 1, 2])
def test_an_interrupted_run_continues_and_writes_the_same_bytes(whole, task, tmp_path, n_parts):
    source, expected = whole
    target = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        annotate(task, str(source), str(target), interrupted_after(n_parts))
    assert not target.exists()
    assert len(list((tmp_path / "out.jsonl.part").glob("*.part"))) == n_parts
    starts = []
    callbacks = ProgressCallbacks(on_start=lambda *counts: starts.append(counts))
    statistics = annotate(task, str(source), str(target), inline, callbacks=callbacks)
    assert starts == [(N, n_parts * SIZE)]
    assert target.read_bytes() == expected and statistics.posts == N


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(whole, task, tmp_path):
    source, expected = whole
    annotate(task, str(source), str(tmp_path / "out.jsonl"), processes(2))
    assert (tmp_path / "out.jsonl").read_bytes() == expected


def test_a_finished_output_is_not_computed_again(task, posts, tmp_path):
    source, target = str(posts(30)), str(tmp_path / "out.jsonl")
    assert annotate(task, source, target, inline) == annotate(task, source, target, no_engine)


@pytest.mark.parametrize("change", [lambda content: content[:-10], lambda content: content + b"\n"])
def test_an_output_whose_size_has_changed_is_not_accepted_as_finished(
    task, posts, tmp_path, change
):
    source, target = str(posts(30)), tmp_path / "out.jsonl"
    annotate(task, source, str(target), inline)
    content = target.read_bytes()
    target.write_bytes(change(content))
    with pytest.raises(UsageError, match="--force"):
        annotate(task, source, str(target), no_engine)
    assert target.read_bytes() == change(content)
    annotate(task, source, str(target), inline, force=True)
    assert target.read_bytes() == content


def test_the_output_of_another_input_is_kept_unless_forced(task, posts, tmp_path):
    target = tmp_path / "out.jsonl"
    annotate(task, str(posts(30)), str(target), inline)
    source = str(posts(31))
    with pytest.raises(UsageError, match=r"input.*--force"):
        annotate(task, source, str(target), no_engine)
    assert len(read_jsonl(target)) == 30
    annotate(task, source, str(target), inline, force=True)
    assert len(read_jsonl(target)) == 31


@pytest.mark.parametrize("summary", [None, '{"posts": 1}'])
def test_an_output_that_no_run_wrote_is_kept(task, posts, tmp_path, summary):
    (tmp_path / "out.jsonl").write_text("precious")
    if summary:
        (tmp_path / "out.jsonl.summary.json").write_text(summary)
    with pytest.raises(UsageError, match="--force"):
        annotate(task, str(posts(3)), str(tmp_path / "out.jsonl"), no_engine)
    assert (tmp_path / "out.jsonl").read_text() == "precious"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("option", ["images_root", "code"])
def test_parts_of_a_run_with_other_options_are_not_reused(task, posts, tmp_path, option):
    source, target = str(posts(SIZE + 1)), str(tmp_path / "out.jsonl")
    code = tmp_path / "code.py"
    code.write_text("A = 1")
    task = replace(task, code=code)
    with pytest.raises(KeyboardInterrupt):
        annotate(task, source, target, interrupted_after(1))
    if option == "code":
        code.write_text("A = 2")
    else:
        task = replace(task, images_root=None)
    with pytest.raises(UsageError, match=option):
        annotate(task, source, target, no_engine)
    assert annotate(task, source, target, inline, force=True).posts == SIZE + 1


@pytest.mark.parametrize("step", ["concatenate", "summary", "clear"])
def test_a_run_that_was_interrupted_while_it_finished_is_completed(
    whole, task, tmp_path, monkeypatch, step
):
    source, expected = whole
    target = tmp_path / "out.jsonl"
    target.write_text("of another run")
    names = {
        "concatenate": "spacy_mner.annotate.formats.jsonl_rows.JsonlSink.concatenate",
        "summary": "spacy_mner.annotate.run._write_summary",
        "clear": "spacy_mner.annotate.run_folder.RunFolder.clear",
    }
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(names[step], interrupt)
        annotate(task, str(source), str(target), inline, force=True)
    assert annotate(task, str(source), str(target), no_engine).posts == N
    assert target.read_bytes() == expected
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("n_deleted", [1, 2, 3, 4, 5])
def test_a_kill_while_parts_are_deleted_loses_nothing(whole, task, tmp_path, n_deleted):
    source, expected = whole
    target, deleted = tmp_path / "out.jsonl", []
    unlink = Path.unlink

    def stop(path, **options):
        if path.parent.name == "out.jsonl.part" and path.suffix in (".part", ".json"):
            deleted.append(path)
            if len(deleted) > n_deleted:
                raise KeyboardInterrupt
        unlink(path, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", stop)
        annotate(task, str(source), str(target), inline)
    annotate(task, str(source), str(target), no_engine)
    assert target.read_bytes() == expected and not (tmp_path / "out.jsonl.part").exists()


def test_input_output_and_images_can_be_moved_during_a_run(task, tmp_path, images):
    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(images, old / "images")
    write_jsonl(old / "posts.jsonl", make_rows(N))

    def run(folder, engine):
        moved = replace(task, images_root=folder / "images")
        annotate(moved, str(folder / "posts.jsonl"), str(folder / "out.jsonl"), engine)

    with pytest.raises(KeyboardInterrupt):
        run(old, interrupted_after(1))
    old.rename(new)
    run(new, inline)
    assert len(read_jsonl(new / "out.jsonl")) == N
    assert str(tmp_path) not in summary_path(new / "out.jsonl").read_text()


def test_standard_input_is_never_assumed_to_be_the_same(task, tmp_path, monkeypatch):
    target = str(tmp_path / "out.jsonl")
    stdin(monkeypatch, b'{"text": "first"}')
    annotate(task, "-", target, inline)
    stdin(monkeypatch, b'{"text": "second"}')
    with pytest.raises(UsageError, match="--force"):
        annotate(task, "-", target, no_engine)
    annotate(task, "-", target, inline, force=True)
    assert read_jsonl(Path(target))[0]["text"] == "second"


def test_standard_input_is_written_as_jsonl_and_loses_no_column(task, tmp_path, monkeypatch):
    for name in ("out.csv", "out.parquet"):
        with pytest.raises(UsageError, match=name):
            annotate(task, "-", str(tmp_path / name), no_engine)
    stdin(monkeypatch, b'{"text": "a", "error": "mine"}')
    with pytest.raises(UsageError, match=r"'error'.*--prefix"):
        annotate(task, "-", str(tmp_path / "out.jsonl"), inline)


def test_an_output_that_is_the_input_or_a_folder_is_refused(task, posts, tmp_path):
    source = posts(3)
    (tmp_path / "folder.jsonl").mkdir()
    for target in (source, tmp_path / "folder.jsonl"):
        with pytest.raises(UsageError, match=target.name):
            annotate(task, str(source), str(target), no_engine, force=True)
    assert len(read_jsonl(source)) == 3 and not list(tmp_path.glob("*.part"))


def test_a_second_run_with_the_same_output_is_refused(task, posts, tmp_path):
    source, target = str(posts(3)), str(tmp_path / "out.jsonl")

    def second_run(job, chunks):
        with pytest.raises(UsageError, match=r"out\.jsonl\.part"):
            annotate(task, source, target, no_engine)
        yield from inline(job, chunks)

    assert annotate(task, source, target, second_run).posts == 3


@pytest.mark.parametrize("columns", [Columns(text="body"), Columns(image="photo")])
def test_a_missing_column_is_reported_before_the_pipeline_is_loaded(task, posts, tmp_path, columns):
    task = replace(task, columns=columns)
    with pytest.raises(UsageError, match=r"'(body|photo)'.*'id', 'text', 'image'"):
        annotate(task, str(posts(3)), str(tmp_path / "out.jsonl"), no_engine)


def test_a_missing_image_column_raises_a_warning_if_options_expect_images(task, tmp_path):
    (tmp_path / "in.csv").write_text("text, image\na,car.png\n")
    warnings = []
    callbacks = ProgressCallbacks(on_warning=warnings.append)
    for images_root in (task.images_root, None):
        with pytest.raises(KeyboardInterrupt):
            annotate(
                replace(task, images_root=images_root),
                str(tmp_path / "in.csv"),
                str(tmp_path / "out.csv"),
                interrupt,
                callbacks=callbacks,
            )
    [warning] = warnings
    assert "'text', ' image'" in warning and "--image" in warning


def test_an_error_lists_a_limited_number_of_columns(task, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{f"{i}" * 200: i for i in range(900)}])
    with pytest.raises(UsageError, match=r"'text'.* and 870 more") as error:
        annotate(task, str(source), str(tmp_path / "out.jsonl"), no_engine)
    assert len(str(error.value)) < 5000


def test_an_input_that_has_an_added_column_is_refused(task, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "entities": []}])
    with pytest.raises(UsageError, match=r"'entities'.*--prefix"):
        annotate(task, str(source), str(tmp_path / "out.jsonl"), no_engine)


@pytest.mark.parametrize(("name", "content"), [("in.jsonl", ""), ("in.csv", "text,image\n")])
def test_an_input_without_rows_has_an_output_without_rows(task, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    target = tmp_path / f"out{Path(name).suffix}"
    assert annotate(task, str(tmp_path / name), str(target), no_engine).posts == 0
    assert target.exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_kills_at_random_moments_lose_and_repeat_nothing(whole, task, tmp_path):
    source, expected = whole
    target, folder = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    rng = random.Random(0)
    # Kill the command before any part is finished and after every new part, then let it finish.
    for n_parts in (0, 1, 2, None):
        process = subprocess.Popen(command(task, source, target), stderr=subprocess.PIPE)
        if n_parts is not None:
            while len(list(folder.glob("*.part"))) < n_parts and process.poll() is None:
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
def test_workers_of_a_killed_command_end_and_its_lock_is_released(task, tmp_path):
    source = write_jsonl(tmp_path / "posts.jsonl", make_rows(40 * SIZE))
    target, folder = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    process = subprocess.Popen(command(task, source, target, "--n-process", "2"))
    wait_for(lambda: list(folder.glob("*.part")), 120)
    workers = children_of(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    assert not target.exists()
    with pytest.raises(KeyboardInterrupt):  # the lock is free at once
        annotate(task, str(source), str(target), interrupted_after(0))
    wait_for(lambda: not any(map(is_running, workers)), 5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_worker_ends_the_run_with_an_error_and_keeps_the_parts(whole, task, tmp_path):
    source, expected = whole
    target = tmp_path / "out.jsonl"

    def kill_workers(statistics):
        for pid in children_of(os.getpid()):
            if b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    callbacks = ProgressCallbacks(on_part=kill_workers)
    with pytest.raises(MNERError, match="same command"):
        annotate(task, str(source), str(target), processes(1), callbacks=callbacks)
    assert list((tmp_path / "out.jsonl.part").glob("*.part"))
    annotate(task, str(source), str(target), inline)
    assert target.read_bytes() == expected
