"""One pipeline at work in several threads, and in several processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc

from spacy_mner.errors import ImageWarning

from ..conftest import ANIMALS_AND_CARS, make_doc

N_THREADS = 8
# Seconds after which processes count as hanging, on a machine that has other things to do too.
TIMEOUT = 240
TEXTS = [["my", name, "!"] for name in ANIMALS_AND_CARS] + [["hi", "Bob", "Dylan", "🎸"], ["x"], []]


@pytest.fixture(scope="module")
def many(images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What may stand in doc._.image: all kinds, good and bad, shared by posts and not."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    made = []
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (40, 30 + i, 3), np.uint8)).save(folder / f"{i}.png")
        made.append(folder / f"{i}.png")
    shared = ["car.png", "animal.png", ["car.png", "gone.png"], "gone.png", b"broken", None]
    of_pixels = [rng.integers(0, 255, (20 + i, 20, 3), np.uint8) for i in range(2)]
    return [*shared, *made, *[path.read_bytes() for path in made[:2]], *of_pixels]


def posts(nlp: Language, references: list[Any]) -> list[Doc]:
    return [
        make_doc(nlp, words, references[(2 * i + j) % len(references)])
        for i, words in enumerate(TEXTS)
        for j in range(2)
    ]


def answer(doc: Doc) -> tuple[Any, ...]:
    entities = [(e.start, e.end, e.label_) for e in doc.ents]
    return entities, doc._.image_status, [e._.score for e in doc.ents], doc._.modality_attention


def check_same(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    assert found[:2] == expected[:2]
    np.testing.assert_allclose(found[2], expected[2], atol=1e-5)
    for name, weights in expected[3].items():
        np.testing.assert_allclose(found[3][name], weights, atol=1e-5)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives in each of several threads that start at the same moment."""
    start = threading.Barrier(N_THREADS)

    def begin(i: int) -> Any:
        start.wait()
        return work(i)

    with ThreadPoolExecutor(N_THREADS) as pool:
        return list(pool.map(begin, range(N_THREADS)))


@pytest.fixture
def often() -> Any:
    """Threads take turns every 10 microseconds, not every 5 milliseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.filterwarnings("ignore::spacy_mner.errors.ImageWarning")
def test_eight_threads_predict_the_same_as_one(trained_bytes, trained, many, often):
    """Each round begins with a fresh pipeline: encoder not loaded, network as it was built."""
    config, data = trained_bytes
    expected = [answer(trained(doc)) for doc in posts(trained, many)]
    for _ in range(2):
        nlp = spacy.util.load_model_from_config(config).from_bytes(data)

        def annotate(i: int, nlp: Language = nlp) -> list[tuple[int, Any]]:
            docs = posts(nlp, many)
            order = np.random.default_rng(i).permutation(len(docs))
            stream = (docs[k] for k in order)
            found = nlp.pipe(stream, batch_size=3 + i) if i % 2 else map(nlp, stream)
            return list(zip(order, map(answer, found), strict=True))

        for answers in at_once(annotate):
            for k, found in answers:
                check_same(found, expected[k])


def test_texts_are_tokenized_in_the_threads_too(trained, often):
    texts = [f"hi Bob Dylan {word}{i} !" for i in range(10) for word in ("ram", "jaguar")]
    expected = [answer(trained(text)) for text in texts]
    for answers in at_once(lambda i: [answer(trained(text)) for text in texts]):
        for found, one in zip(answers, expected, strict=True):
            check_same(found, one)


def test_one_pil_image_may_be_shared_by_posts_of_several_threads(trained, images, often):
    expected = answer(trained(make_doc(trained, ["my", "ram", "!"], "car.png")))
    for _ in range(5):
        image = Image.open(images / "car.png")  # its pixels are read when they are asked for
        docs = [make_doc(trained, ["my", "ram", "!"], image) for _ in range(N_THREADS)]
        for found in at_once(lambda i, docs=docs: answer(trained(docs[i]))):
            check_same(found, expected)


def test_lost_images_in_many_threads_issue_one_warning_per_kind(trained, often):
    def statuses(i: int) -> list[str]:
        docs = [make_doc(trained, ["hi"], f"gone{i}-{k}.png") for k in range(25)]
        docs.append(make_doc(trained, ["hi"], b"no image"))
        return [doc._.image_status for doc in trained.pipe(docs, batch_size=4)]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = at_once(statuses)
    expected = [f"unreadable: no such file: gone3-{k}.png" for k in range(25)]
    assert found[3] == [*expected, "unreadable: not an image"]
    kinds = [str(one.message) for one in caught if one.category is ImageWarning]
    assert len(kinds) == 2
    assert sum("no such file" in kind for kind in kinds) == 1


def test_a_memory_zone_leaves_nothing_of_its_posts_behind(trained):
    expected = answer(trained("hi Bob Dylan"))
    n_strings = len(trained.vocab.strings)
    for i in range(3):
        with trained.memory_zone():
            for doc in trained.pipe([f"hi Bob Dylan passing{i}{k}" for k in range(20)]):
                assert [e.text for e in doc.ents][:1] == ["Bob Dylan"]
    assert len(trained.vocab.strings) == n_strings
    check_same(answer(trained("hi Bob Dylan")), expected)


PROCESSES = """
import multiprocessing, sys
import numpy as np, spacy, torch
from pathlib import Path
from PIL import Image
from tests.conftest import examples_of, gold_docs, make_doc

if __name__ == "__main__":
    torch.set_num_threads(2)  # a pool of threads that a forked child does not have
    nlp = spacy.load(sys.argv[1])
    path = Path(sys.argv[2]) / "car.png"
    given = [path, "car.png", path.read_bytes(), Image.open(path), np.asarray(Image.open(path))]
    given += [[path, "animal.png"], None]
    nlp.update(examples_of(gold_docs(nlp)), sgd=nlp.create_optimizer())
    large = torch.randn(400, 400, requires_grad=True)
    (large @ large).relu().sum().backward()  # large enough for the pool to be used

    def docs():
        return [make_doc(nlp, ["my", "jaguar", "!"], image) for image in given]

    def answers(stream):
        return [([(e.text, round(e._.score, 4)) for e in d.ents], d._.image_status) for d in stream]

    alone = answers(nlp.pipe(docs()))
    for method in ("fork", "spawn"):
        multiprocessing.set_start_method(method, force=True)
        assert answers(nlp.pipe(docs(), n_process=2, batch_size=2)) == alone, method
    print(*{status for _, status in alone})
"""


@pytest.mark.slow
def test_forked_and_spawned_processes_predict_the_same_after_training_in_the_parent(
    trained, images, tmp_path
):
    trained.to_disk(tmp_path / "model")
    (tmp_path / "main.py").write_text(PROCESSES)
    command = [sys.executable, tmp_path / "main.py", tmp_path / "model", images]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # children that hang outlive their parent
    assert process.returncode == 0, errors
    assert set(output.split()) == {"used", "absent"}


FORKED = """
import multiprocessing, os, sys
import spacy, torch

nlp = spacy.load(sys.argv[1])
torch.set_num_threads(2)

def threads(queue=None):
    before = torch.get_num_threads()
    nlp("hi Bob")
    numbers = before, torch.get_num_threads()
    return numbers if queue is None else queue.put(numbers)

context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=threads, args=(queue,))
child.start()
print(*queue.get(), end=" ", flush=True)
child.join()
if os.fork() == 0:  # as a web server does
    print(*threads(), flush=True)
    os._exit(0)
os.wait()
"""


def test_only_children_that_multiprocessing_forked_get_one_thread(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    (tmp_path / "main.py").write_text(FORKED)
    command = [sys.executable, str(tmp_path / "main.py"), str(tmp_path / "model")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["2", "1", "2", "2"]
