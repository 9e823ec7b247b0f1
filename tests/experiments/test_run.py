"""Real runs of one epoch on a few posts of the sample corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spacy

import grid
from spacy_mner.corpus.convert import Options, convert

from ..encoders import write_bert

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of 20 posts, a tiny text encoder and word vectors."""
    folder = tmp_path_factory.mktemp("runs")
    for split in ("train", "dev"):
        lines = (ASSETS / f"{split}.jsonl").read_text("utf-8").splitlines()[:20]
        source = folder / f"{split}.jsonl"
        source.write_text("\n".join(lines), encoding="utf-8")
        convert(source, folder / f"{split}.spacy", Options(images_root=ASSETS))
    nlp = spacy.blank("en")
    for i, word in enumerate(("a", "my", "the", "new", "in", "dog")):
        nlp.vocab.set_vector(word, np.eye(6, dtype=np.float32)[i] + 0.1)
    nlp.to_disk(folder / "vectors")
    write_bert(folder / "encoder", longest=256)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "systems", "images"),
    [
        ("table1", "wcv-attention", True),
        ("table3", "wc-lample", False),
        ("ablation", "trf-objects,trf-augmentation", None),
    ],
)
def test_systems_are_trained_and_scored(table, systems, images, folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = [table, ".", table, "--systems", systems, "--epochs", "1", "--keep-models"]
    words += ["--paths.images_root", str(ASSETS), "--paths.vectors", "vectors"]
    words += ["--paths.encoder", "encoder"] if table == "ablation" else []
    assert grid.run_table(grid.parse(words)) == 0
    for path in Path(table).rglob("result.json"):
        result = json.loads(path.read_text())
        seen = {"on", "off", "shuffled"} if result["reads_images"] else {"on"}
        assert set(result["scores"]) == seen
        assert images in (None, result["reads_images"])
        assert result["parameters"] > 1000 and result["epochs"] == 1
        gold, predicted, correct = np.sum(result["counts"], axis=0)
        f1 = 2 * correct / (gold + predicted)
        assert f1 == pytest.approx(result["scores"]["on"]["ents_f"])
        in_front = ["image_objects"] if "objects" in str(path.parent.relative_to(table)) else []
        names = spacy.load(path.parent / "model-best").pipe_names
        assert names == [*in_front, "multimodal_ner"]
    assert (Path(table) / "table3.svg").exists() == (table == "table3")
