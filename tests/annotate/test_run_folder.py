"""A run uses and deletes only its own files, and detects damaged ones."""

from __future__ import annotations

import pytest

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.engines import inline
from spacy_mner.annotate.engines.worker import Worker
from spacy_mner.annotate.run import summary_path
from spacy_mner.annotate.task import Task
from spacy_mner.errors import UsageError
from spacy_mner.images.reference import BytesImage

from .conftest import make_rows, no_engine, run, run_interrupted, write_jsonl

# Contents of JSON files that no run wrote.
DAMAGED = ["[1]", "1", "{", "", "[" * 100_000]


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "names",
    [
        ["notes.txt"],
        ["deep/notes.txt"],
        ["run.json", "notes.txt"],
        ["run.json"],
        ["00000000.chunk"],
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_no_run_made_is_refused_and_kept(task, posts, target, folder, names, force):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"mine": true}')
    before = contents(folder)
    with pytest.raises(UsageError, match=r"out\.jsonl\.part"):
        run(task, posts(3), target, no_engine, force=force)
    assert contents(folder) == before and not target.exists()


def test_other_files_in_the_run_folder_are_kept(task, posts, target, folder):
    source = posts(SIZE + 1)
    run_interrupted(task, source, target)
    (folder / "notes").mkdir()
    (folder / "notes" / "a.chunk").write_text("mine")
    assert run(task, source, target).posts == SIZE + 1
    assert contents(folder) == {"notes/a.chunk": b"mine"}


@pytest.mark.parametrize("files", [[], [".lock"], [".lock", f"{'0a' * 16}.tmp"]])
def test_a_folder_whose_creation_was_interrupted_is_reused(task, posts, target, folder, files):
    folder.mkdir()
    for name in files:
        (folder / name).touch()
    assert run(task, posts(3), target).posts == 3
    assert not folder.exists()


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_summary_is_reported(task, posts, target, content):
    source = posts(3)
    run(task, source, target)
    summary_path(target).write_text(content)
    with pytest.raises(UsageError, match=r"out\.jsonl\.summary\.json is damaged .*; delete"):
        run(task, source, target, no_engine)


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("name", ["run.json", "00000000.json"])
def test_a_damaged_file_of_an_unfinished_run_is_reported(
    task, target, folder, tmp_path, name, content
):
    source = write_jsonl(tmp_path / "posts.jsonl", [{"text": "a"}] * (SIZE + 1))
    run_interrupted(task, source, target)
    (folder / name).write_text(content)
    with pytest.raises(UsageError, match=rf"{name} is damaged .*; delete .*out\.jsonl\.part"):
        run(task, source, target, no_engine)
    assert (folder / "00000000.chunk").exists()


def test_images_that_a_killed_run_had_fetched_are_deleted(
    task, images, target, folder, tmp_path, monkeypatch
):
    class Web:
        def __init__(self, limits): ...

        def open(self, url):
            return BytesImage((images / "car.png").read_bytes())

    monkeypatch.setattr("spacy_mner.annotate.image_opener.WebImages", Web)
    not_closed = []

    def killed(job, chunks):
        first, second = chunks
        worker = Worker(job)
        yield worker.annotate(first)
        not_closed.append(worker.annotator.images.open(second))
        raise KeyboardInterrupt

    rows = [{**row, "image": "http://a.b/c.png"} for row in make_rows(SIZE + 1)]
    source = write_jsonl(tmp_path / "posts.jsonl", rows)
    task = Task(task.model, allow_urls=True)
    with pytest.raises(KeyboardInterrupt):
        run(task, source, target, killed)
    [[[image]]] = [opened.by_row for opened in not_closed]
    assert image.path.is_relative_to(folder) and image.path.exists()

    def check_deleted(job, chunks):
        assert not image.path.exists()
        yield from inline(job, chunks)

    assert run(task, source, target, check_deleted).images == {"used": SIZE + 1}
    assert not folder.exists()
