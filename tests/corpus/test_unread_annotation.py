from __future__ import annotations

import pytest

from spacy_mner.corpus.convert import convert
from spacy_mner.corpus.json_layouts import READ_KEYS
from spacy_mner.corpus.unread_annotation import find_unread_image

from .strategies import write_jsonl


@pytest.mark.parametrize(
    "post",
    [
        {"img": "1.jpg"},
        {"img": "17_06_4705"},
        {"imagePath": "my photos/1.JPG"},
        {"photos": ["1.jpg", "2.jpg"]},
        {"picture": {"bytes": None, "path": "1.png"}},
        {"file_name": "1.webp"},
        {"url": "https://example.org/1.jpg?size=large#top"},
        {"content": "data:image/png;base64,AAAA"},
    ],
)
def test_a_path_url_or_id_of_an_image_is_found_under_any_key(post):
    [key] = post
    assert find_unread_image({"id": 5, "text": "see 1.jpg"} | post, READ_KEYS) == key


@pytest.mark.parametrize(
    "post",
    [
        {"image": "1.jpg"},
        {"image_path": "1.jpg"},
        {"photo": None},
        {"photo": ""},
        {"photos": []},
        {"photo_count": 5},
        {"image_caption": "a cat with a hat"},
        {"quoted": "nobody saw 1.jpg"},
        {"url": "https://example.org/"},
    ],
)
def test_texts_about_images_and_keys_that_are_read_are_not_found(post):
    assert find_unread_image(post, READ_KEYS) is None


def test_posts_that_have_an_image_are_not_counted(tmp_path):
    posts = [{"text": "a", "image": "1.jpg", "avatar": "2.jpg"}, {"text": "b", "avatar": "2.jpg"}]
    summary = convert(write_jsonl(tmp_path / "x.jsonl", *posts), tmp_path / "x.spacy")
    assert summary.unread_images == {"avatar": 1}


def test_the_image_of_a_task_of_label_studio_is_counted_under_its_unread_name(tmp_path):
    task = {"data": {"text": "a", "photo": "/data/upload/1/1.jpg"}, "annotations": []}
    summary = convert(write_jsonl(tmp_path / "x.jsonl", task), tmp_path / "x.spacy")
    assert summary.unread_images == {"photo": 1}
