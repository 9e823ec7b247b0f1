"""Servers in a thread of the test, on a free port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import spacy

# The packages of the extra `serve`, which the environment of other tests need not have.
NEEDED = ("fastapi", "fastapi_offline", "httpx", "python_multipart", "uvicorn")
if any(find_spec(name) is None for name in NEEDED):
    collect_ignore_glob = ["test_*.py"]

# Of an image and of a body; small, so that tests can exceed them.
MAX_IMAGE = 60_000
MAX_BODY = 200_000


@contextmanager
def serving(model: str | Path, **settings) -> Iterator[str]:
    """The URL of a server, which ends with the context."""
    from spacy_mner.serve.application import AnnotationService, build_application
    from spacy_mner.serve.http_server import make_server
    from spacy_mner.serve.server_settings import ServerSettings

    # Each process takes seconds to start.
    served = ServerSettings(str(model), **{"n_process": 1, **settings})
    app = build_application(AnnotationService(served))
    server = make_server(app, served.timeout)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def pipeline_that(statement: str, *, on: str, folder: Path) -> dict[str, Path]:
    """The settings `model` and `code` of a pipeline that does something on posts with a word."""
    code = folder / "code.py"
    code.write_text(
        "import os\nfrom spacy.language import Language\n"
        '@Language.component("tested")\n'
        f"def tested(doc):\n    if {on!r} in doc.text:\n        {statement}\n    return doc\n"
    )
    nlp = spacy.blank("en")
    config = nlp.config.copy()
    config["nlp"]["pipeline"] = ["tested"]
    config["components"] = {"tested": {"factory": "tested"}}
    nlp.to_disk(folder / "model")
    config.to_disk(folder / "model" / "config.cfg")
    return {"model": folder / "model", "code": code}


def save(pipeline_bytes, folder: Path) -> str:
    """Save a pipeline of the fixtures, without its folder of images."""
    config, data = pipeline_bytes
    nlp = spacy.util.load_model_from_config(config).from_bytes(data)
    nlp.get_pipe("multimodal_ner").images_root = None
    nlp.to_disk(folder)
    return str(folder)


@pytest.fixture(scope="session")
def model(trained_bytes, tmp_path_factory) -> str:
    return save(trained_bytes, tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="session")
def grid_model(cross_modal_bytes, tmp_path_factory) -> str:
    """A pipeline whose tokens attend to 7 x 7 regions."""
    return save(cross_modal_bytes, tmp_path_factory.mktemp("served") / "grid")


@pytest.fixture(scope="session")
def url(model) -> Iterator[str]:
    limits = {"max_megabytes": MAX_IMAGE / 1e6, "max_body_megabytes": MAX_BODY / 1e6}
    limits.update(max_length=100, max_posts=20, timeout=2)
    with serving(model, n_process=2, **limits) as address:
        yield address
