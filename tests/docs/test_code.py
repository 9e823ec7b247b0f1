"""The Python code of README.md and docs/usage.md prints what the pages say."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.util import is_package

ROOT = Path(__file__).parents[2]
PIPELINE = "en_mner_social_sm"
NUMBER = re.compile(r"\d+\.\d+")


def examples(page):
    """The blocks of code that print something, and what they print."""
    text = (ROOT / page).read_text(encoding="utf-8")
    pattern = r"```python\n([^`]*)```\n\n(?:[^\n]+\n\n)?```text\n([^`]*)```"
    return [
        pytest.param(*found, id=f"{page}-{i}") for i, found in enumerate(re.findall(pattern, text))
    ]


@pytest.mark.skipif(not is_package(PIPELINE), reason=f"{PIPELINE} is not installed: see README.md")
@pytest.mark.parametrize(("code", "expected"), [*examples("README.md"), *examples("docs/usage.md")])
def test_code_prints_what_the_page_says(code, expected, monkeypatch):
    monkeypatch.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "page", "exec"), {})
    found = printed.getvalue()
    assert NUMBER.sub("", found) == NUMBER.sub("", expected)
    numbers = [[float(one) for one in NUMBER.findall(text)] for text in (found, expected)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.1)


@pytest.mark.skipif(not is_package(PIPELINE), reason=f"{PIPELINE} is not installed: see README.md")
def test_the_code_of_render_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/explain.md").read_text(), re.S)
    namespace = {}
    exec(compile(code, "explain.md", "exec"), namespace)
    assert "jaguar" in namespace["page"]


@pytest.mark.slow
@pytest.mark.skipif(not is_package(PIPELINE), reason=f"{PIPELINE} is not installed: see README.md")
def test_the_commands_of_the_readme_train_a_pipeline_on_posts_of_your_own(tmp_path):
    (tmp_path / "photos").symlink_to(ROOT / "assets" / "images")
    for split in ("train", "dev", "test"):
        posts = (ROOT / "assets" / f"{split}.jsonl").read_text(encoding="utf-8")
        posts = posts.replace('"images/', '"').splitlines(keepends=True)[:40]
        (tmp_path / f"{split}.jsonl").write_text("".join(posts), encoding="utf-8")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Train on your own posts") :]
    convert, init, train, evaluate = re.findall(r"```bash\n(.*?)```", section, re.S)[0].splitlines()
    train += " --training.max_steps 4 --training.eval_frequency 2"
    also = [convert.replace("train", split) for split in ("dev", "test")]
    # The commands of the environment that runs the test come first.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in (convert, *also, init, train, evaluate):
        found = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        assert not re.search(r"images missing +[1-9]", found.stdout)
    assert "images on (used" in found.stdout


def test_both_pages_have_examples():
    assert len(examples("README.md")) == 1
    assert len(examples("docs/usage.md")) == 2


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
