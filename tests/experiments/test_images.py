from __future__ import annotations

import shutil

import pytest
import spacy

from spacy_mner.corpus.docbin import write_docs
from spacy_mner.errors import CorpusError
from spacy_mner.experiments.images import look_at_images

from ..conftest import make_doc


@pytest.fixture
def look(tmp_path, images):
    """Look at posts with these images, in a folder with car.png, animal.png and text.png."""
    shutil.copytree(images, tmp_path / "photos")
    (tmp_path / "photos" / "text.png").write_text("not an image")

    def look(*references, root=tmp_path / "photos"):
        nlp = spacy.blank("en")
        docs = [make_doc(nlp, ["hi"], reference) for reference in references]
        write_docs(docs, tmp_path / "dev.spacy")
        return look_at_images({"dev": tmp_path / "dev.spacy"}, root)

    return look


def test_the_hash_is_of_what_images_hold_in_the_order_of_their_posts(look, tmp_path):
    first = look("car.png", "animal.png")
    shutil.copy(tmp_path / "photos" / "car.png", tmp_path / "photos" / "auto.png")
    assert look("auto.png", "animal.png") == first
    absolute = [str(tmp_path / "photos" / name) for name in ("car.png", "animal.png")]
    assert look(*absolute, root=None) == first
    assert look("animal.png", "car.png") != first


def test_an_image_that_comes_later_makes_another_hash(look, tmp_path):
    before = look("car.png", "animal.png", "late.png")
    assert before.missing == {"dev": 1}
    shutil.copy(tmp_path / "photos" / "car.png", tmp_path / "photos" / "late.png")
    after = look("car.png", "animal.png", "late.png")
    assert after.hash != before.hash and after.missing == {}


def test_posts_without_images_are_no_posts_with_missing_ones(look):
    assert look(None, None).missing == {}


@pytest.mark.parametrize(
    ("references", "reason"),
    [
        (("no.png", "car.png", "nor.png"), "2 of 3 images of dev cannot be opened .*: no.png"),
        (("text.png", "car.png", "text.png"), "2 of 3 images of dev cannot be opened"),
    ],
)
def test_most_images_unreadable_is_an_error_that_names_the_option(look, references, reason):
    with pytest.raises(CorpusError, match=reason) as error:
        look(*references)
    assert "--images-root, which is" in str(error.value)


def test_relative_paths_without_a_root_are_an_error_that_names_the_option(look):
    with pytest.raises(CorpusError, match=r"folder of the images by --images-root\.$"):
        look("car.png", "animal.png", root=None)


def test_of_many_images_a_few_from_everywhere_are_decoded(look):
    with pytest.raises(CorpusError, match="12 of 20 images"):
        look(*["car.png"] * 40, *["text.png"] * 60)
    look(*["car.png"] * 60, *["text.png"] * 40)
