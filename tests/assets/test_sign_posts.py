"""Properties of the posts in assets/signs/ that assets/README.md states."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "assets"
SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def posts():
    return {
        split: [json.loads(line) for line in (ASSETS / f"signs/{split}.jsonl").open("rb")]
        for split in SPLITS
    }


def test_the_script_builds_the_posts(posts, monkeypatch):
    monkeypatch.syspath_prepend(str(ASSETS))
    monkeypatch.delitem(sys.modules, "sign_posts", raising=False)
    import sign_posts

    assert sign_posts.build_posts() == posts


def test_the_images_are_those_of_the_posts_and_small(posts):
    on_disk = {f"signs/images/{path.name}": path for path in (ASSETS / "signs/images").iterdir()}
    assert set(on_disk) == {post["image"] for split in posts.values() for post in split}
    assert sum(path.stat().st_size for path in on_disk.values()) < 3_000_000


def test_the_text_alone_never_decides(posts):
    for split in posts.values():
        readings = {}
        for post in split:
            spans = [(span["start"], span["end"]) for span in post["spans"]]
            readings.setdefault(post["text"], []).append(spans)
        assert all([] in found and max(map(len, found)) == 1 for found in readings.values())


def test_an_entity_is_what_the_sign_names(posts):
    for post in (post for split in posts.values() for post in split):
        sign = post["image_text"].split("\n")
        for span in post["spans"]:
            name = post["text"][span["start"] : span["end"]]
            assert {name.upper(), name.title()} & set(sign)
        if not post["spans"]:
            name = post["meta"]["name"]
            assert not any(name.upper() in line or name.title() in line for line in sign)


def test_splits_share_neither_names_nor_signs(posts):
    for key in (lambda post: post["meta"]["name"], lambda post: post["image_text"]):
        sets = [{key(post) for post in posts[split]} for split in SPLITS]
        assert sum(map(len, sets)) == len(set.union(*sets))
