from __future__ import annotations

import subprocess
import sys

import pytest
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
    assert "There is no file gone.txt." in result.stderr


def test_the_app_costs_no_heavy_import_over_spacy():
    code = """
import spacy, sys
before = set(sys.modules)
import spacy_mner.cli.app
print({"torch", "torchvision", "transformers", "PIL"} & (set(sys.modules) - before))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("evaluate gone d.spacy", "gone"),
        ("evaluate model gone.spacy", "spacy-mner convert"),
        ("evaluate model one.spacy --images shuffled", "Cannot shuffle"),
        ("evaluate model d.spacy --code gone.py", "--code gone.py"),
        ("explain gone d.spacy out.html", "gone"),
        ("explain model d.spacy out.html --against gone", "gone"),
        ("explain model gone.spacy out.html", "gone.spacy"),
        ("explain model d.spacy d.spacy", ".html"),
        ("explain model d.spacy out.html --code gone.py", "--code gone.py"),
    ],
)
def test_a_user_error_is_one_message_and_exit_code_1(folder, arguments, reason):
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 1
    assert reason in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output
