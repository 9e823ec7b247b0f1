"""The steps of the Dockerfile, as far as they go without a daemon."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def instructions():
    """(name, arguments) of each instruction, with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def arguments_of(name):
    return [arguments for one, arguments in instructions() if one == name]


def copied():
    """Source and target of what is copied from the repository."""
    for arguments in arguments_of("COPY"):
        *sources, target = shlex.split(arguments)
        if not sources[0].startswith("--from"):
            yield from ((source, target) for source in sources)


def allowed_patterns():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


def test_hadolint_finds_nothing():
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed: pip install '.[dev]'")
    found = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def test_what_is_copied_is_there_and_not_ignored():
    sources = [source for source, _ in copied()]
    assert "spacy_mner" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert any(Path(source).match(pattern) for pattern in allowed_patterns())
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_container_runs_without_privileges_and_with_the_pipeline_inside():
    assert [user.split(":")[0] for user in arguments_of("USER")] == ["10001"]
    [command] = map(json.loads, arguments_of("CMD"))
    assert any(source.startswith(f"pipelines/{command[0]}-") for source, _ in copied())


@pytest.mark.slow
def test_the_installed_files_serve_and_the_health_check_succeeds(tmp_path):
    if find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed: pip install '.[dev]'")
    context, site = tmp_path / "src", tmp_path / "site"
    context.mkdir()
    for source, target in copied():
        place = context / target / (Path(source).name if target.endswith("/") else "")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / target)
        else:
            place.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / source, place)
    install = shlex.split(arguments_of("RUN")[-1])
    assert install[:3] == ["pip", "install", "--no-cache-dir"]
    # What it depends on is installed already.
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "--target", str(site)]
    packages = [one.split("[")[0] for one in install[3:]]
    command = [sys.executable, "-m", "pip", "install", *options, *packages]
    subprocess.run(command, check=True, cwd=context)
    assert len([*site.glob("spacy_mner-*.dist-info/**/LICENSE")]) == 1

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    # As in the container: no folder of the user, and no file system that can be written to.
    settings = dict(one.split("=", 1) for one in shlex.split(arguments_of("ENV")[-1]))
    del settings["PATH"]
    environment = {**os.environ, **settings, "PYTHONPATH": str(site), "HOME": "/nowhere"}
    [entry], [model] = (map(json.loads, arguments_of(name)) for name in ("ENTRYPOINT", "CMD"))
    main = (
        "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']; "
        "from spacy_mner.cli.app import main; main()"
    )
    serve = [sys.executable, "-c", main, *entry[1:], *model, "--port", port]
    [check] = arguments_of("HEALTHCHECK")
    _, *code = json.loads(check.partition("CMD ")[2].replace("8000", port))
    with subprocess.Popen(serve, env=environment, cwd=tmp_path) as server:
        deadline = time.monotonic() + 240
        while (found := subprocess.run([sys.executable, *code], capture_output=True)).returncode:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.5)
        assert found.stderr == b""
        server.terminate()
        assert server.wait(30) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"src", "site"}
