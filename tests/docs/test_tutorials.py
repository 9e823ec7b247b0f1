"""The tutorials run, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.util import is_package

ROOT = Path(__file__).parents[2]
PIPELINE = "en_mner_social_sm"
# Tutorial → what it must print.
PRINTED = {
    "first_post": ["[('jaguar', 'ORG'", "unreadable"],
    "train_on_your_own": ["('ramen', 'DISH')", "('Anna', 'PER')", "('Berlin', 'LOC')"],
    "is_the_image_worth_it": ["images on", "images off", "images shuffled"],
    "serve": ['"label": "ORG"', '"image_status": "used"'],
}


def test_every_tutorial_is_tested():
    assert {path.stem for path in ROOT.glob("docs/tutorials/*.py")} == set(PRINTED)


@pytest.mark.slow
@pytest.mark.skipif(not is_package(PIPELINE), reason=f"{PIPELINE} is not installed: see README.md")
@pytest.mark.parametrize("name", PRINTED)
def test_a_tutorial_runs(name, tmp_path):
    if name == "serve":
        pytest.importorskip("fastapi", reason="needs pip install '.[serve]'")
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    # The commands of the environment that runs the test come first.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, str(ROOT / "docs" / "tutorials" / f"{name}.py")]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for text in PRINTED[name]:
        assert text in result.stdout
