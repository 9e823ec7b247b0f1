"""The Python code of README.md and docs/usage.md prints what the pages say."""

from __future__ import annotations

import contextlib
import io
import re
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


def test_both_pages_have_examples():
    assert len(examples("README.md")) == 1
    assert len(examples("docs/usage.md")) == 2


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
