"""Properties of the sample corpus that assets/README.md states."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import spacy
from PIL import Image

ASSETS = Path(__file__).parents[2] / "assets"
SPLITS = ("train", "dev", "test")
ATTRIBUTION = {f"CC BY {version}" for version in ("1.0", "2.0", "3.0", "4.0")}
ALLOWED_LICENSES = {"Public Domain", "CC0", "MIT"} | ATTRIBUTION


def read_jsonl(name):
    lines = (ASSETS / name).read_text(encoding="utf8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def manifest():
    return read_jsonl("manifest.jsonl")


@pytest.fixture(scope="module")
def posts():
    return {split: read_jsonl(f"{split}.jsonl") for split in SPLITS}


@pytest.fixture(scope="module")
def ambiguous(posts):
    return {
        split: [post for post in posts[split] if post["meta"]["group"] in ("ambiguous", "sign")]
        for split in SPLITS
    }


def entities(post):
    """The text and label of each entity."""
    return [(post["text"][s["start"] : s["end"]], s["label"]) for s in post["spans"]]


def test_every_image_is_in_the_manifest_with_its_hash_and_its_license(manifest):
    on_disk = {f"images/{path.name}" for path in (ASSETS / "images").iterdir()}
    assert {row["file"] for row in manifest} == on_disk
    for row in manifest:
        assert hashlib.sha256((ASSETS / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert row["license"] in ALLOWED_LICENSES
        assert row["evidence"] and row["title"]
        assert all(row["source"][key] for key in ("registry", "package", "version", "path"))
        assert row["author"] or row["license"] not in ATTRIBUTION


def test_images_are_small_and_some_are_transparent_pngs(manifest):
    kinds = Counter()
    for row in manifest:
        with Image.open(ASSETS / row["file"]) as image:
            image.load()
            assert max(image.size) <= 320
            kinds[image.format, image.mode] += 1
    assert kinds["PNG", "RGBA"] >= 10


def test_the_corpus_has_150_images_and_1200_posts_in_15_megabytes(manifest, posts):
    assert len(manifest) >= 150
    assert sum(len(posts[split]) for split in SPLITS) >= 1200
    files = (path for path in ASSETS.rglob("*") if "__pycache__" not in path.parts)
    assert sum(path.stat().st_size for path in files if path.is_file()) < 15e6


def test_no_image_is_in_two_splits(manifest, posts):
    split_of = {row["file"]: row["split"] for row in manifest}
    for split in SPLITS:
        used = {post["image"] for post in posts[split]} - {None}
        assert {split_of[file] for file in used} == {split}
    assert len({row["sha256"] for row in manifest}) == len(manifest)


def test_images_with_text_have_their_name_in_it_and_a_drawing_of_their_split(manifest):
    by_file = {row["file"]: row for row in manifest}
    texts = defaultdict(set)
    for row in (row for row in manifest if "sign" in row):
        sign = row["sign"]
        texts[row["split"]].add(sign["text"].replace(sign["name"].upper(), "NAME"))
        assert sign["name"].upper() in sign["text"].split()
        if "drawing" in sign:
            drawing = by_file[sign["drawing"]]
            assert (drawing["split"], drawing["shows"]) == (row["split"], row["shows"])
            assert drawing["license"] in {"Public Domain", "CC0"}
    assert sum(map(len, texts.values())) == len(set.union(*texts.values()))


def test_only_posts_with_text_in_their_image_have_an_image_text(manifest, posts):
    text_of = {row["file"]: row["sign"]["text"] for row in manifest if "sign" in row}
    for split, at_least in (("train", 60), ("dev", 10), ("test", 20)):
        with_text = [post for post in posts[split] if "image_text" in post]
        assert len(with_text) >= at_least
        assert all(post["image_text"] == text_of[post["image"]] for post in with_text)
        assert {post["meta"]["group"] for post in with_text} == {"sign"}
        assert all("image_text" in post for post in posts[split] if post["image"] in text_of)


def test_no_template_is_in_two_splits(posts):
    used = {split: {post["meta"]["template"] for post in posts[split]} for split in SPLITS}
    assert sum(map(len, used.values())) == len(set.union(*used.values())) >= 120


def test_entities_align_with_tokens(posts):
    nlp = spacy.blank("en")
    for post in (post for split in SPLITS for post in posts[split]):
        doc = nlp.make_doc(post["text"])
        for span in post["spans"]:
            assert doc.char_span(span["start"], span["end"]) is not None, post


def test_forty_names_have_two_readings_in_train_and_in_test(ambiguous):
    names = json.loads((ASSETS / "names.json").read_text(encoding="utf8"))["ambiguous"]
    for split in ("train", "test"):
        readings = defaultdict(set)
        for post in ambiguous[split]:
            labels = {text.lower(): label for text, label in entities(post)}
            for name in names.keys() & set(post["text"].lower().replace("#", " ").split()):
                readings[name].add(labels.get(name, "O"))
        assert sum(len(labels) > 1 for labels in readings.values()) >= 40


def test_every_ambiguous_text_occurs_with_different_labels(ambiguous):
    for split in SPLITS:
        annotations = defaultdict(list)
        for post in ambiguous[split]:
            annotations[post["text"]].append(tuple(entities(post)))
        for text, given in annotations.items():
            assert len(set(given)) > 1, text


def test_posts_with_ambiguous_names_have_an_image(posts, ambiguous):
    names = json.loads((ASSETS / "names.json").read_text(encoding="utf8"))["ambiguous"]
    assert all(post["image"] for split in SPLITS for post in ambiguous[split])
    for post in (post for split in SPLITS for post in posts[split]):
        if post["image"] is None:
            assert not names.keys() & set(post["text"].lower().split())


def test_every_split_has_every_label(posts):
    for split in SPLITS:
        labels = Counter(span["label"] for post in posts[split] for span in post["spans"])
        assert set(labels) == {"PER", "LOC", "ORG", "MISC"}
        assert min(labels.values()) >= 0.08 * sum(labels.values())


@pytest.mark.slow
def test_the_script_reproduces_the_posts(tmp_path):
    script = ASSETS / "build_corpus.py"
    command = [sys.executable, "-B", str(script), "posts", "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    for split in SPLITS:
        written = (tmp_path / f"{split}.jsonl").read_bytes()
        assert written == (ASSETS / f"{split}.jsonl").read_bytes()
