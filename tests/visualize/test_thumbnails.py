from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spacy_mner.visualize import thumbnails as module
from spacy_mner.visualize.thumbnails import OUTSIDE, collect_images, make_thumbnail, without_folders

NOISE = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)


class ShapeTeller:
    """Stands in for an image encoder: names the shape of an image."""

    def __init__(self):
        self.seen = 0

    def tags(self, images, k):
        self.seen += len(images)
        return [[(f"{one.shape[1]} by {one.shape[0]}", 0.5)] * k for one in images]


@pytest.fixture
def folder(tmp_path):
    for name, size in (("a.png", (30, 20)), ("b.png", (60, 90))):
        Image.new("RGB", size, (200, 0, 0)).save(tmp_path / name)
    (tmp_path / "copy of a.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


def test_each_distinct_image_is_made_small_and_tagged_once(folder):
    encoder = ShapeTeller()
    images = ["a.png", "copy of a.png", ["b.png", "a.png"], None]
    posts, thumbnails = collect_images(images, encoder, folder)
    assert len(thumbnails) == encoder.seen == 2
    first, second, third, fourth = [post.keys for post in posts]
    assert first == second == third[1:]
    assert fourth == []
    assert [post.places for post in posts] == [first, second, third, []]
    assert thumbnails[first[0]].tags == [("30 by 20", 0.5)] * 5


def test_an_image_that_cannot_be_read_is_named(folder):
    posts, thumbnails = collect_images([["gone.png", "a.png"], "broken.png"], None, folder)
    assert len(thumbnails) == len(posts[0].keys) == 1
    assert posts[0].problems == ["no such file: gone.png"]
    assert posts[0].places == [None, posts[0].keys[0]]
    assert posts[1].places == [None]
    assert posts[1].keys == [] and len(posts[1].problems) == 1


def test_a_file_outside_the_folder_of_images_is_not_shown(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    elsewhere.write_bytes((folder / "b.png").read_bytes())
    climbing = folder / ".." / elsewhere.parent.name / "secret.png"
    images = [str(elsewhere), elsewhere, str(climbing), f"{folder}/a.png", elsewhere.read_bytes()]
    posts, thumbnails = collect_images(images, None, None, below=folder)
    assert [post.problems for post in posts] == [[OUTSIDE]] * 3 + [[]] * 2
    assert len(thumbnails) == 2
    assert len(collect_images(images, None, None)[0][0].keys) == 1


def test_a_link_that_the_user_made_below_the_folder_may_lead_out_of_it(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "c.png").write_bytes((folder / "b.png").read_bytes())
    (folder / "more").symlink_to(elsewhere)
    [post], _ = collect_images([f"{folder}/more/c.png"], None, None, below=folder)
    assert post.problems == []
    # The dots go before the link is followed, so that nothing beside its target is opened.
    [post], _ = collect_images([f"{folder}/more/../a.png"], None, None, below=folder)
    assert post.problems == []


@pytest.mark.parametrize(
    ("image", "root", "below", "text", "expected"),
    [
        ("/home/me/a.png", None, None, "no such file: /home/me/a.png", "no such file: a.png"),
        ("/p/d/a.png", None, "/p", "no such file: /p/d/a.png", "no such file: d/a.png"),
        (
            "d/a.png",
            "/home/me",
            None,
            "cannot be read: /home/me/d/a.png",
            "cannot be read: d/a.png",
        ),
        ("/home/" + "x" * 90, None, None, "gone: …" + "x" * 79, "gone: …" + "x" * 79),
        (b"/home", None, None, "not an image", "not an image"),
    ],
)
def test_the_folders_of_this_machine_are_left_out(image, root, below, text, expected):
    root, below = root and Path(root), below and Path(below)
    assert without_folders(text, image, root, below) == expected


def test_without_an_encoder_there_are_no_tags(folder):
    _, thumbnails = collect_images(["a.png"], None, folder)
    assert [one.tags for one in thumbnails.values()] == [[]]


def test_many_images_are_read_in_parts(folder, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    posts, thumbnails = collect_images(["a.png", "b.png"], ShapeTeller(), folder)
    shapes = [thumbnails[post.keys[0]].tags[0][0] for post in posts]
    assert shapes == ["30 by 20", "60 by 90"]


def decoded(thumbnail):
    return Image.open(io.BytesIO(thumbnail.jpeg))


def test_a_thumbnail_is_a_jpeg_of_at_most_480_pixels():
    thumbnail = make_thumbnail(NOISE, [], allowed=1 << 20)
    image = decoded(thumbnail)
    assert image.format == "JPEG"
    assert image.size == (thumbnail.width, thumbnail.height) == (480, 360)
    assert thumbnail.data_url.startswith("data:image/jpeg;base64,/9j/")


def test_a_small_image_is_not_blown_up():
    assert decoded(make_thumbnail(NOISE[:7, :5], [], allowed=1 << 20)).size == (5, 7)


def test_a_thumbnail_takes_no_more_than_it_may():
    best = len(make_thumbnail(NOISE, [], allowed=1 << 20).jpeg)
    for allowed in (best - 1, best // 2):
        assert len(make_thumbnail(NOISE, [], allowed).jpeg) <= allowed


def test_an_image_does_not_get_too_small_to_see():
    assert decoded(make_thumbnail(NOISE, [], allowed=1)).size == (240, 180)


def test_many_images_share_what_a_page_may_take(folder, monkeypatch):
    Image.fromarray(NOISE).save(folder / "noise.png")
    [alone] = collect_images(["noise.png"], None, folder)[1].values()
    monkeypatch.setattr(module, "BUDGET", len(alone.jpeg))
    beside = collect_images(["noise.png", "a.png"], None, folder)[1].values()
    assert max(len(one.jpeg) for one in beside) <= len(alone.jpeg) / 2
