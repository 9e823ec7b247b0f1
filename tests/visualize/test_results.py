from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

from spacy_mner.visualize.results import read_runs, render


def write_run(folder, name, f1):
    per_type = {"PER": {"p": f1, "r": f1, "f": f1}}
    scores = {
        "data": "test.spacy",
        "posts": 3,
        "tokens": 9,
        "posts_with_image": 2,
        "ents_p": f1,
        "ents_r": f1,
        "ents_f": f1,
        "ents_per_type": per_type,
        "segmentation_f": f1,
    }
    (folder / f"{name}.json").write_text(json.dumps(scores))


@pytest.fixture
def metrics(tmp_path):
    for seed, f1 in enumerate((0.8, 0.9, 0.7)):
        write_run(tmp_path, f"mner-on-{seed}", f1)
        write_run(tmp_path, f"text-on-{seed}", f1 - 0.3)
    write_run(tmp_path, "mner-off-0", 0.5)
    return tmp_path


def cells(page, first, second):
    row = next(line for line in page.splitlines() if line.startswith(f"| {first} | {second} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_row_has_mean_and_deviation_over_the_seeds(metrics):
    page = render(read_runs(metrics))
    row = cells(page, "word + char + image", "as they are")
    assert row[2] == "3"
    assert row[5] == f"80.0 ± {statistics.stdev([80, 90, 70]):.1f}"
    assert cells(page, "word + char", "as they are")[5] == "50.0 ± 10.0"


def test_a_single_run_has_no_deviation(metrics):
    row = cells(render(read_runs(metrics)), "word + char + image", "taken away")
    assert row[2] == "1" and row[5] == "50.0"


def test_the_page_names_data_seeds_and_commands(metrics):
    page = render(read_runs(metrics))
    assert "test.spacy" in page
    assert "seeds: 0, 1, 2" in page
    assert "spacy project run seeds" in page


def test_the_command_writes_the_page(metrics, tmp_path):
    output = tmp_path / "results" / "README.md"
    command = [sys.executable, "-m", "spacy_mner.visualize.results", str(metrics), str(output)]
    subprocess.run(command, check=True, capture_output=True)
    assert output.read_text() == render(read_runs(metrics))


def test_no_runs_are_an_error_that_names_the_remedy(tmp_path):
    with pytest.raises(ValueError, match="run the project"):
        read_runs(tmp_path)
