"""What was killed goes on, and ends as if nothing had happened."""

from __future__ import annotations

import io
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
from spacy_mner.annotate.run import Listener, annotate, summary_of
from spacy_mner.annotate.run_folder import read_json
from spacy_mner.annotate.task import Columns, Task
from spacy_mner.errors import CorpusError

from .conftest import make_rows, read_jsonl, write_jsonl

N = 2 * SIZE + 30


@pytest.fixture
def task(model, images):
    return Task(model, images_root=images)


@pytest.fixture
def whole(task, posts, tmp_path):
    """The input, and the bytes of an uninterrupted run."""
    source = posts(N)
    annotate(task, str(source), str(tmp_path / "whole.jsonl"), inline)
    return source, (tmp_path / "whole.jsonl").read_bytes()


def never(work, chunks):
    raise AssertionError("there is nothing to do")
    yield


def interrupt(*arguments):
    raise KeyboardInterrupt


def interrupted_after(n_parts):
    def engine(work, chunks):
        for number, part in enumerate(inline(work, chunks)):
            if number == n_parts:
                raise KeyboardInterrupt
            yield part

    return engine


def test_every_row_is_there_in_order_with_its_entities(task, posts, tmp_path):
    target = tmp_path / "out.jsonl"
    tally = annotate(task, str(posts(N)), str(target), inline)
    rows = read_jsonl(target)
    assert [row["id"] for row in rows] == list(range(N))
    assert tally.posts == N and tally.failed == 0
    assert sum(tally.entities.values()) == sum(len(row["entities"]) for row in rows) > 0
    assert sum(tally.images.values()) == N and set(tally.images) == {
        "used",
        "absent",
        "unreadable",
    }
    summary = read_json(summary_of(target))
    assert (summary["posts"], summary["entities"]) == (N, dict(tally.entities.most_common()))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("out")) == [
        "out.jsonl",
        "out.jsonl.summary.json",
    ]


@pytest.mark.parametrize("n_parts", [0, 1, 2])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(whole, task, tmp_path, n_parts):
    source, expected = whole
    target = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        annotate(task, str(source), str(target), interrupted_after(n_parts))
    assert not target.exists()
    assert len(list((tmp_path / "out.jsonl.part").glob("*.part"))) == n_parts
    begun = []
    listener = Listener(begun=lambda rows, done: begun.append((rows, done)))
    tally = annotate(task, str(source), str(target), inline, listener=listener)
    assert begun == [(N, n_parts * SIZE)]
    assert target.read_bytes() == expected and tally.posts == N


def test_several_processes_write_the_same_bytes(whole, task, tmp_path):
    source, expected = whole
    annotate(task, str(source), str(tmp_path / "out.jsonl"), processes(2))
    assert (tmp_path / "out.jsonl").read_bytes() == expected


def test_a_finished_output_is_not_made_again(task, posts, tmp_path):
    target = tmp_path / "out.jsonl"
    first = annotate(task, str(posts(30)), str(target), inline)
    again = annotate(task, str(tmp_path / "posts.jsonl"), str(target), never)
    assert first == again


@pytest.mark.parametrize("change", [lambda content: content[:-10], lambda content: content + b"\n"])
def test_a_finished_output_that_was_cut_or_grew_is_not_taken_for_whole(
    task, posts, tmp_path, change
):
    source, target = str(posts(30)), tmp_path / "out.jsonl"
    annotate(task, source, str(target), inline)
    whole = target.read_bytes()
    target.write_bytes(change(whole))
    with pytest.raises(CorpusError, match=r"out\.jsonl has changed since it was made.*--force"):
        annotate(task, source, str(target), never)
    assert target.read_bytes() == change(whole)
    annotate(task, source, str(target), inline, force=True)
    assert target.read_bytes() == whole


def test_an_output_of_another_input_is_kept_unless_forced(task, posts, tmp_path):
    target = tmp_path / "out.jsonl"
    annotate(task, str(posts(30)), str(target), inline)
    source = str(posts(31))
    with pytest.raises(CorpusError, match=r"another run, whose input differed.*--force"):
        annotate(task, source, str(target), never)
    assert len(read_jsonl(target)) == 30
    annotate(task, source, str(target), inline, force=True)
    assert len(read_jsonl(target)) == 31


def test_a_file_of_somebody_else_is_not_overwritten(task, posts, tmp_path):
    (tmp_path / "out.jsonl").write_text("precious")
    with pytest.raises(CorpusError, match=r"is there already; --force replaces it"):
        annotate(task, str(posts(3)), str(tmp_path / "out.jsonl"), never)
    assert (tmp_path / "out.jsonl").read_text() == "precious"


def test_parts_of_another_task_are_not_mixed_in(task, posts, tmp_path):
    source, target = str(posts(SIZE + 1)), str(tmp_path / "out.jsonl")
    with pytest.raises(KeyboardInterrupt):
        annotate(task, source, target, interrupted_after(1))
    other = Task(task.model)
    with pytest.raises(CorpusError, match="another run, whose images_root differed"):
        annotate(other, source, target, never)
    tally = annotate(other, source, target, inline, force=True)
    assert tally.images["used"] == 0 and tally.posts == SIZE + 1


@pytest.mark.parametrize("step", ["join", "summary", "clear"])
def test_a_run_that_ends_between_its_last_steps_ends_them(whole, task, tmp_path, monkeypatch, step):
    source, expected = whole
    target = tmp_path / "out.jsonl"
    target.write_text("of another run")
    names = {
        "join": "spacy_mner.annotate.formats.jsonl_rows.JsonlSink.join",
        "summary": "spacy_mner.annotate.run._write_summary",
        "clear": "spacy_mner.annotate.run_folder.Folder.clear",
    }
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(names[step], interrupt)
        annotate(task, str(source), str(target), inline, force=True)
    annotate(task, str(source), str(target), never)
    assert target.read_bytes() == expected and read_json(summary_of(target))["posts"] == N
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("n_gone", [1, 2, 3, 4, 5])
def test_a_kill_while_the_parts_are_taken_away_changes_nothing(whole, task, tmp_path, n_gone):
    source, expected = whole
    target, seen = tmp_path / "out.jsonl", []
    unlink = Path.unlink

    def stop(path, **options):
        if path.parent.name == "out.jsonl.part" and path.suffix in (".part", ".json"):
            seen.append(path)
            if len(seen) > n_gone:
                raise KeyboardInterrupt
        unlink(path, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", stop)
        annotate(task, str(source), str(target), inline)
    annotate(task, str(source), str(target), never)
    assert target.read_bytes() == expected and not (tmp_path / "out.jsonl.part").exists()


def test_input_output_and_images_may_move_together_in_the_middle(task, tmp_path, images):
    house = tmp_path / "house"
    shutil.copytree(images, house / "images")
    write_jsonl(house / "posts.jsonl", make_rows(N))

    def go(house, engine):
        moved = replace(task, images_root=house / "images")
        annotate(moved, str(house / "posts.jsonl"), str(house / "out.jsonl"), engine)

    with pytest.raises(KeyboardInterrupt):
        go(house, interrupted_after(1))
    house.rename(tmp_path / "elsewhere")
    go(tmp_path / "elsewhere", inline)
    assert len(read_jsonl(tmp_path / "elsewhere" / "out.jsonl")) == N
    assert str(tmp_path) not in summary_of(tmp_path / "elsewhere" / "out.jsonl").read_text()


def test_a_pipe_is_never_taken_for_one_that_was_read_before(task, tmp_path, monkeypatch):
    target = tmp_path / "out.jsonl"
    for text in ("first", "second"):
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "%s"}' % text.encode()))
        )
        if text == "second":
            with pytest.raises(CorpusError, match="is there already; --force"):
                annotate(task, "-", str(target), inline)
        annotate(task, "-", str(target), inline, force=text == "second")
        assert read_jsonl(target)[0]["text"] == text


def test_a_pipe_goes_out_as_lines_of_json_and_loses_no_column(task, tmp_path, monkeypatch):
    for name in ("out.csv", "out.parquet"):
        with pytest.raises(CorpusError, match="what comes by a pipe goes out as"):
            annotate(task, "-", str(tmp_path / name), never)
    line = b'{"text": "a", "error": "mine"}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
    with pytest.raises(CorpusError, match=r"a column 'error' of its own: --prefix"):
        annotate(task, "-", str(tmp_path / "out.jsonl"), inline)


def test_an_output_of_another_command_or_a_folder_is_left_alone(task, posts, tmp_path):
    (tmp_path / "out.jsonl").write_text("converted")
    (tmp_path / "out.jsonl.summary.json").write_text('{"posts": 1}')
    (tmp_path / "folder.jsonl").mkdir()
    for name, words in [("out.jsonl", "is there already"), ("folder.jsonl", "is a folder")]:
        with pytest.raises(CorpusError, match=words):
            annotate(task, str(posts(2)), str(tmp_path / name), never)
    assert not list(tmp_path.glob("*.part"))


def test_the_input_is_never_the_output(task, posts):
    source = str(posts(3))
    with pytest.raises(CorpusError, match="is the input"):
        annotate(task, source, source, never, force=True)
    assert len(read_jsonl(Path(source))) == 3


def test_two_annotations_into_one_output_are_kept_apart(task, posts, tmp_path):
    source, target = str(posts(3)), str(tmp_path / "out.jsonl")

    def second(work, chunks):
        with pytest.raises(CorpusError, match="Another annotation is at work"):
            annotate(task, source, target, never)
        yield from inline(work, chunks)

    assert annotate(task, source, target, second).posts == 3


def test_a_column_that_is_not_there_is_named_before_anything_is_loaded(task, posts, tmp_path):
    source, target = str(posts(3)), str(tmp_path / "out.jsonl")
    for columns in (Columns(text="body"), Columns(image="photo")):
        with pytest.raises(CorpusError, match=r"no column '(body|photo)'.*'id', 'text', 'image'"):
            annotate(replace(task, columns=columns), source, target, never)


def test_images_that_are_asked_for_and_have_no_column_are_told_before_anything_is_done(
    task, tmp_path
):
    (tmp_path / "in.csv").write_text("text, image\na,car.png\n")
    source, told = str(tmp_path / "in.csv"), []
    listener = Listener(told=told.append)
    for asked in (task, replace(task, images_root=None)):
        with pytest.raises(KeyboardInterrupt):
            annotate(asked, source, str(tmp_path / "out.csv"), interrupt, listener=listener)
    [words] = told
    assert words.startswith("The input has no column 'image'; its columns: 'text', ' image'.")
    assert "--image names another column" in words


def test_of_many_columns_an_error_names_some(task, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{f"{i}" * 200: i for i in range(900)}])
    with pytest.raises(CorpusError, match=r"no column 'text'.* and 870 more") as raised:
        annotate(task, str(source), str(tmp_path / "out.jsonl"), never)
    assert len(str(raised.value)) < 5000


def test_a_column_that_would_be_overwritten_is_named(task, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "entities": []}])
    with pytest.raises(CorpusError, match=r"a column 'entities' of its own: --prefix"):
        annotate(task, str(source), str(tmp_path / "out.jsonl"), never)


def test_no_posts_make_an_output_of_none(task, tmp_path):
    for name, empty in [("in.jsonl", ""), ("in.csv", "text,image\n")]:
        (tmp_path / name).write_text(empty)
        target = tmp_path / f"out{Path(name).suffix}"
        assert annotate(task, str(tmp_path / name), str(target), never).posts == 0
        assert target.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_kills_at_any_moment_lose_nothing_and_write_nothing_twice(whole, task, tmp_path):
    source, expected = whole
    target, folder = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    command = [sys.executable, "-m", "spacy", "mner", "annotate", task.model, str(source)]
    command += [str(target), "--images-root", str(task.images_root)]
    draw = random.Random(0)
    # Before anything is done, then after every part that is new.
    for n_parts in (0, 1, 2, None):
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        if n_parts is not None:
            while len(list(folder.glob("*.part"))) < n_parts and process.poll() is None:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
        _, words = process.communicate()
    assert process.returncode == 0, words
    assert target.read_bytes() == expected
    assert not (tmp_path / "out.jsonl.part").exists()
