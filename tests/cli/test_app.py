from __future__ import annotations

import subprocess
import sys

from spacy.cli._util import app as spacy_app
from typer.testing import CliRunner

from spacy_mner.cli.app import app

COMMANDS = ("init", "convert", "evaluate", "annotate", "explain")


def test_the_app_names_its_commands():
    result = CliRunner().invoke(app, ["--help"])
    assert all(command in result.stdout for command in COMMANDS)


def test_spacy_has_the_same_app():
    result = CliRunner().invoke(spacy_app, ["mner", "--help"])
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)


def test_spacy_finds_the_app_in_a_fresh_interpreter():
    command = [sys.executable, "-m", "spacy", "mner", "convert", "gone.txt", "x.spacy"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "There is no file gone.txt." in result.stdout


def test_the_app_costs_no_heavy_import_over_spacy():
    code = """
import spacy, sys
before = set(sys.modules)
import spacy_mner.cli.app
print({"torch", "torchvision", "transformers", "PIL"} & (set(sys.modules) - before))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()"
