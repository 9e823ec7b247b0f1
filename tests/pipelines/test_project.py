"""project.yml: what the commands of a workflow read, earlier ones write or `assets` fetches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import srsly
from thinc.api import Config

ROOT = Path(__file__).parents[2]
PROJECT = srsly.read_yaml(ROOT / "project.yml")
COMMANDS = {command["name"]: command for command in PROJECT["commands"]}
PRETRAINED = [COMMANDS[name] for name in PROJECT["workflows"]["pretrained"]]
ASSETS = PROJECT["assets"]


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset["dest"])
def test_an_asset_is_pinned_and_needed_by_a_command(asset):
    if "git" in asset:
        assert re.fullmatch("[0-9a-f]{12,40}", asset["git"]["branch"])
    else:
        assert re.fullmatch("[0-9a-f]{32}", asset["checksum"])
        assert re.search("/[0-9a-f]{12,40}/", asset["url"])
    assert any(asset["dest"] in command["deps"] for command in PRETRAINED)


def test_a_command_of_the_workflow_reads_what_is_in_the_repository_or_written_before():
    available = {asset["dest"] for asset in ASSETS}
    for command in PRETRAINED:
        for path in command["deps"]:
            known = any(path == one or path.startswith(f"{one}/") for one in available)
            assert known or (ROOT / path).exists(), f"{command['name']}: {path}"
        available.update(command["outputs"])


@pytest.mark.parametrize("kind", ["sm", "trf"])
def test_the_training_depends_on_every_corpus_of_its_config(kind):
    command = COMMANDS[f"pretrained-train-{kind}"]
    [folder] = re.findall("--paths.train_corpora ([^ ]+)", command["script"][0])
    config = Config().from_disk(
        ROOT / "configs" / f"pretrained_{kind}.cfg", overrides={"paths.train_corpora": folder}
    )
    deps = command["deps"]
    for split in ("train", "dev"):
        for corpus in config["corpora"][split]["corpora"].values():
            assert corpus["path"] in deps


def test_the_wheel_is_required_by_a_version_without_upper_bound():
    facts = srsly.read_yaml(ROOT / "pipelines" / "pipelines.yml")
    for name, own in facts.items():
        for requirement in own.get("requirements", []):
            assert re.fullmatch(r"spacy-mner(\[transformers\])?>=[\d.]+", requirement), name
