from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from spacy_mner.images.encoders.image_encoder import ImageClassifier
from spacy_mner.visualize import thumbnails as module
from spacy_mner.visualize.thumbnails import OUTSIDE, collect_images, make_thumbnail

NOISE = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)


@ImageClassifier.register
class ShapeTagger:
    """Stand-in for an image encoder whose tags are the size of the image."""

    def __init__(self):
        self.n_images = 0

    def tags(self, images, k):
        self.n_images += len(images)
        return [[(f"{one.shape[1]} by {one.shape[0]}", 0.5)] * k for one in images]


@pytest.fixture
def folder(tmp_path):
    for name, size in (("a.png", (30, 20)), ("b.png", (60, 90))):
        Image.new("RGB", size, (200, 0, 0)).save(tmp_path / name)
    (tmp_path / "copy of a.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


def test_each_distinct_image_is_scaled_and_tagged_once(folder):
    encoder = ShapeTagger()
    images = ["a.png", "copy of a.png", ["b.png", "a.png"], None]
    posts, thumbnails = collect_images(images, encoder, folder)
    assert len(thumbnails) == encoder.n_images == 2
    first, second, third, fourth = [post.shown for post in posts]
    assert first == second == third[1:] and fourth == []
    assert [post.keys for post in posts] == [first, second, third, []]
    assert thumbnails[first[0]].tags == [("30 by 20", 0.5)] * 5


def test_images_that_cannot_be_read_are_listed_with_the_reason(folder):
    posts, thumbnails = collect_images([["gone.png", "a.png"], "broken.png"], None, folder)
    assert posts[0].keys == [None, *thumbnails]
    assert posts[0].problems == ["no such file: gone.png"]
    assert posts[1].keys == [None] and len(posts[1].problems) == 1
    assert [one.tags for one in thumbnails.values()] == [[]]  # they need an encoder


def test_path_traversal_out_of_the_allowed_folder_is_refused(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    elsewhere.write_bytes((folder / "b.png").read_bytes())
    traversal = folder / ".." / elsewhere.parent.name / "secret.png"
    images = [str(elsewhere), elsewhere, str(traversal), f"{folder}/a.png", elsewhere.read_bytes()]
    posts, thumbnails = collect_images(images, None, None, allowed_folder=folder)
    assert [post.problems for post in posts] == [[OUTSIDE]] * 3 + [[]] * 2
    assert len(thumbnails) == 2
    assert len(collect_images(images, None, None)[0][0].shown) == 1


def test_symbolic_links_in_the_allowed_folder_are_followed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "c.png").write_bytes((folder / "b.png").read_bytes())
    (folder / "link").symlink_to(elsewhere)
    # ".." is resolved before the link, so that it reaches nothing beside the link's target.
    for image in (f"{folder}/link/c.png", f"{folder}/link/../a.png"):
        [post], _ = collect_images([image], None, None, allowed_folder=folder)
        assert post.problems == []


def test_images_are_decoded_in_batches(folder, monkeypatch):
    monkeypatch.setattr(module, "DECODE_BATCH", 1)
    posts, thumbnails = collect_images(["a.png", "b.png"], ShapeTagger(), folder)
    tags = [thumbnails[post.shown[0]].tags[0][0] for post in posts]
    assert tags == ["30 by 20", "60 by 90"]


def size_of(thumbnail):
    image = Image.open(io.BytesIO(thumbnail.jpeg))
    assert image.format == "JPEG" and image.size == (thumbnail.width, thumbnail.height)
    return image.size


@pytest.mark.parametrize(
    ("pixels", "max_bytes", "size"),
    [
        (NOISE, 1 << 20, (480, 360)),
        (NOISE[:7, :5], 1 << 20, (5, 7)),  # a small image is not enlarged
        (NOISE, 1, (240, 180)),  # nor made too small to see
    ],
)
def test_a_thumbnail_is_a_jpeg_with_a_longest_side_of_at_most_480_pixels(pixels, max_bytes, size):
    thumbnail = make_thumbnail(pixels, [], max_bytes)
    assert size_of(thumbnail) == size
    assert thumbnail.data_url.startswith("data:image/jpeg;base64,/9j/")


def test_a_thumbnail_fits_into_its_bytes():
    best = len(make_thumbnail(NOISE, [], max_bytes=1 << 20).jpeg)
    for max_bytes in (best - 1, best // 2):
        assert len(make_thumbnail(NOISE, [], max_bytes).jpeg) <= max_bytes


def test_all_images_share_the_bytes_of_the_page(folder, monkeypatch):
    Image.fromarray(NOISE).save(folder / "noise.png")
    [single] = collect_images(["noise.png"], None, folder)[1].values()
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", len(single.jpeg))
    both = collect_images(["noise.png", "a.png"], None, folder)[1].values()
    assert max(len(one.jpeg) for one in both) <= len(single.jpeg) / 2
