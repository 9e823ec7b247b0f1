"""A work folder is an annotation's own, and what is in it is believed only where it is whole."""

from __future__ import annotations

import pytest

from spacy_mner.annotate.chunks import SIZE
from spacy_mner.annotate.engines import inline
from spacy_mner.annotate.run import annotate, summary_of
from spacy_mner.annotate.run_folder import Folder
from spacy_mner.annotate.task import Task
from spacy_mner.errors import CorpusError
from spacy_mner.images.reference import BytesImage

from .conftest import make_rows, write_jsonl

# Files of JSON that are none of ours, or were.
DAMAGED = ["[1]", "1", "{", "", "[" * 100_000]


@pytest.fixture
def task(model, images):
    return Task(model, images_root=images)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out.jsonl.part"


def never(work, chunks):
    raise AssertionError("there is nothing to do")
    yield


def one_part(work, chunks):
    yield next(inline(work, chunks))
    raise KeyboardInterrupt


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "names",
    [["notes.txt"], ["deep/notes.txt"], ["run.json", "notes.txt"], ["run.json"], ["00000000.part"]],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_somebody_else_is_refused_and_kept(task, posts, target, folder, names, force):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"mine": true}')
    before = contents(folder)
    with pytest.raises(CorpusError, match=r"out\.jsonl\.part holds .*: move it away"):
        annotate(task, str(posts(3)), str(target), inline, force=force)
    assert contents(folder) == before and not target.exists()


def test_what_somebody_puts_into_the_work_folder_stays_in_it(task, posts, target, folder):
    source = str(posts(SIZE + 1))
    with pytest.raises(KeyboardInterrupt):
        annotate(task, source, str(target), one_part)
    (folder / "notes").mkdir()
    (folder / "notes" / "a.part").write_text("mine")
    assert annotate(task, source, str(target), inline).posts == SIZE + 1
    assert contents(folder) == {"notes/a.part": b"mine"}


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", f"{'0a' * 16}.tmp"]])
def test_a_folder_whose_making_was_killed_is_taken_up(task, posts, target, folder, left):
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    assert annotate(task, str(posts(3)), str(target), inline).posts == 3
    assert not folder.exists()


def test_at_every_moment_of_its_end_a_folder_is_known_as_ours(
    task, posts, target, folder, monkeypatch
):
    looks = {}

    def looking(act):
        def wrapped(path, **options):
            act(path, **options)
            if path.parent == folder and folder.is_dir():
                Folder(folder).make()
                looks[path.name] = True

        return wrapped

    path = type(folder)
    monkeypatch.setattr(path, "unlink", looking(path.unlink))
    annotate(task, str(posts(3)), str(target), inline)
    assert list(looks)[-4:] == ["00000000.part", "00000000.json", "run.json", ".lock"]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_summary_is_named(task, posts, target, content):
    source = str(posts(3))
    annotate(task, source, str(target), inline)
    summary_of(target).write_text(content)
    with pytest.raises(CorpusError, match=r"out\.jsonl\.summary\.json is damaged .*; delete it\."):
        annotate(task, source, str(target), never)


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("name", ["run.json", "00000000.json"])
def test_a_damaged_file_of_an_unfinished_run_is_named(
    task, target, folder, tmp_path, name, content
):
    source = str(write_jsonl(tmp_path / "posts.jsonl", [{"text": "a"}] * (SIZE + 1)))
    with pytest.raises(KeyboardInterrupt):
        annotate(task, source, str(target), one_part)
    (folder / name).write_text(content)
    with pytest.raises(CorpusError, match=rf"{name} is damaged .*; delete .*out\.jsonl\.part\."):
        annotate(task, source, str(target), never)
    assert (folder / "00000000.part").exists()


def test_what_a_killed_run_had_fetched_goes_when_it_goes_on(
    task, images, target, folder, tmp_path, monkeypatch
):
    class Web:
        def open(self, url):
            return BytesImage((images / "car.png").read_bytes())

    monkeypatch.setattr("spacy_mner.annotate.image_opener.WebImages", Web)
    left = []

    def killed(work, chunks):
        first, second = chunks
        worker = work.worker()
        yield worker.part(first, worker.open(first))
        left.append(worker.open(second))  # nobody closes it
        raise KeyboardInterrupt

    rows = [{**row, "image": "http://a.b/c.png"} for row in make_rows(SIZE + 1)]
    source = str(write_jsonl(tmp_path / "posts.jsonl", rows))
    task = Task(task.model, allow_urls=True)
    with pytest.raises(KeyboardInterrupt):
        annotate(task, source, str(target), killed)
    [[[image]]] = [opened.images for opened in left]
    assert image.path.is_relative_to(folder) and image.path.exists()

    def looking(work, chunks):
        assert not image.path.exists()
        yield from inline(work, chunks)

    assert annotate(task, source, str(target), looking).images == {"used": SIZE + 1}
    assert not folder.exists()
