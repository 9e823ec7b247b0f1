from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.cli.explain import lacks
from spacy_mner.errors import ImageWarning
from spacy_mner.visualize.explain import explain, judge

from ..conftest import examples_of, gold_docs, make_doc, train
from ..encoders import write_bert
from ..evaluation.standin import make_pipeline, make_post


@pytest.fixture
def nlp():
    return make_pipeline()


def a_ruler(label):
    """A pipeline of another vocab that calls every jaguar the same."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": label, "pattern": "jaguar"}])
    return nlp


def explained(nlp, posts, *arguments, **options):
    docs = [make_post(nlp.vocab, label, image) for label, image in posts]
    return explain(nlp, docs, *arguments, **options)


def test_the_natural_comparison_is_the_same_model_without_its_image(nlp):
    # The stand-in reads the label off the image, and finds nothing without one.
    posts = [("ORG", "ORG.jpg"), (None, "ORG.jpg"), ("CAR", "ORG.jpg"), ("ORG", None)]
    found = explained(nlp, posts)
    assert found.own_ablation
    assert [post.verdict for post in found.posts] == ["helped", "hurt", "both-wrong", "unseen"]
    assert set(found.counts.values()) == {1}
    assert (found.model.right, found.against.right) == (1, 1)


def test_another_model_sees_the_images_too_and_may_have_another_vocab(nlp):
    found = explained(nlp, [("ORG", "ORG.jpg"), ("CAR", "ORG.jpg"), ("CAR", None)], a_ruler("CAR"))
    assert not found.own_ablation
    assert [post.verdict for post in found.posts] == ["helped", "hurt", "unseen"]
    assert (found.model.f1, found.against.f1) == pytest.approx((0.4, 2 / 3))
    same = explained(nlp, [("ORG", "ORG.jpg")], make_pipeline())
    assert same.posts[0].verdict == "both-right"


def test_an_image_that_was_not_used_has_neither_helped_nor_hurt(nlp):
    for image in (None, "gone.jpg"):
        [post] = explained(nlp, [("CAR", image)], a_ruler("CAR")).posts
        assert (post.verdict, post.model.right, post.against.right) == ("unseen", False, True)
    blind = explained(a_ruler("ORG"), [("ORG", "ORG.jpg")], spacy.blank("en"))
    assert [post.verdict for post in blind.posts] == ["unseen"]


def test_text_about_an_image_that_the_model_reads_can_help_and_hurt(small_model, tmp_path):
    text = {"@architectures": "spacy_mner.Transformer.v1", "name": str(write_bert(tmp_path))}
    found = []
    for context in (False, True):
        nlp = spacy.blank("en")
        block = {**small_model, "embed": {"text": {**text, "context": context, "max_length": 64}}}
        nlp.add_pipe("multimodal_ner", config={"model": block})
        nlp.initialize(lambda nlp=nlp: examples_of(gold_docs(nlp)))
        docs = [gold_docs(nlp)[0] for _ in range(2)]
        docs[0]._.image_text = "a dog"
        found.append(explain(nlp, docs))
    blind, reading = ([post.verdict for post in one.posts] for one in found)
    assert blind == ["unseen", "unseen"]
    assert reading[0] in ("helped", "hurt", "both-wrong", "both-right") and reading[1] == "unseen"
    assert "MODEL uses none" in lacks(found[0]) or "no post has one" in lacks(found[0])
    assert not lacks(found[1])


@pytest.mark.parametrize(
    ("model", "against", "verdict"),
    [
        (True, False, "helped"),
        (False, True, "hurt"),
        (False, False, "both-wrong"),
        (True, True, "both-right"),
        (None, None, "unjudged"),
    ],
)
def test_a_verdict_follows_from_who_is_right(model, against, verdict):
    assert judge(model, against, used=True) == verdict
    assert judge(model, against, used=False) == ("unjudged" if model is None else "unseen")


def test_a_post_without_annotation_is_shown_and_not_judged(nlp):
    docs = [make_post(nlp.vocab, "ORG", "ORG.jpg"), Doc(nlp.vocab, words=["hi"])]
    found = explain(nlp, docs)
    assert [post.verdict for post in found.posts] == ["helped", "unjudged"]
    assert (found.model.right, found.model.f1) == (1, 1)


def test_posts_without_a_token_are_left_out_and_counted(nlp):
    docs = [Doc(nlp.vocab), make_post(nlp.vocab, "ORG", "ORG.jpg"), Doc(nlp.vocab)]
    found = explain(nlp, docs)
    assert (len(found.posts), found.skipped) == (1, 2)


def test_a_corpus_may_be_empty(nlp):
    found = explain(nlp, [])
    assert found.posts == [] and found.model.f1 is None


def test_only_so_many_posts_are_read(nlp):
    docs = (make_post(nlp.vocab, "ORG", name) for name in ("ORG.jpg", "CAR.jpg", None))
    assert len(explain(nlp, docs, limit=2).posts) == 2
    assert len(list(docs)) == 1


def test_the_posts_stay_as_they_are(nlp):
    post = make_post(nlp.vocab, "ORG", "CAR.jpg")
    explain(nlp, [post])
    assert [entity.label_ for entity in post.ents] == ["ORG"]
    assert (post._.image, post._.image_status) == ("CAR.jpg", None)


def test_what_became_of_the_images_is_told(nlp):
    found = explained(nlp, [("ORG", "gone.jpg"), ("ORG", None)])
    unreadable, absent = (post.notes for post in found.posts)
    assert unreadable[0] == "The model says of the image: “unreadable: no such file”."
    assert unreadable[1] == "An image is not shown: no such file: gone.jpg."
    assert absent == ["This post has no image."]
    assert found.images == {"unreadable": 1, "absent": 1}


def test_no_folder_of_this_machine_is_told_of(nlp, tmp_path):
    below = tmp_path / "photos"
    inside = str(below / "day" / "gone.jpg")
    posts = explained(
        nlp, [("ORG", inside), ("ORG", "/home/me/gone.jpg")], images_below=below
    ).posts
    first, second = (post.notes[-1] for post in posts)
    assert first == "An image is not shown: no such file: day/gone.jpg."
    assert second.startswith("An image is not shown: its file is outside the folder of images")


def test_a_caption_that_is_no_string_is_told_of(nlp):
    post = make_post(nlp.vocab, "ORG", "ORG.jpg")
    post.user_data["._.", "image_text", None, None] = ["a cat"]  # as a file may bring it
    [shown] = explain(nlp, [post]).posts
    assert shown.caption == ""
    assert shown.notes[0] == "The caption is not shown: it is of type list, not a string."


def test_a_descriptor_stands_beside_its_caption(nlp):
    post = make_post(nlp.vocab, "ORG", None)
    post._.image_features, post._.image_text = np.ones(384, np.float32), "a cat\n"
    post.user_data["spacy_mner.post_id"] = "17_06"
    found = explain(nlp, [post])
    [shown] = found.posts
    assert (shown.id, shown.caption, found.descriptors) == ("17_06", "a cat", 1)
    assert "384 numbers" in shown.notes[0]


def test_images_and_tags_are_those_of_the_model(trained):
    car, animal, plain = explain(trained, gold_docs(trained)[:3]).posts
    found = explain(trained, gold_docs(trained))
    assert len(found.thumbnails) == 2
    assert car.images != animal.images and plain.images == []
    for thumbnail in found.thumbnails.values():
        probabilities = [p for _, p in thumbnail.tags]
        assert len(probabilities) == 5
        assert probabilities == sorted(probabilities, reverse=True)


def test_attention_is_shown_and_the_pipeline_stays_as_it_is(trained):
    tagger = trained.get_pipe("multimodal_ner")
    tagger.annotate_attention = False
    for post in explain(trained, gold_docs(trained)[:3]).posts:
        weights = np.array(list(post.heat.weights.values()))
        assert list(post.heat.weights) == ["word", "char", "image"]
        assert weights.shape == (3, len(post.heat.tokens))
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
    assert tagger.annotate_attention is False


def test_the_bounds_of_a_bounded_fuser_are_known(trained):
    bounds = explain(trained, gold_docs(trained)[:1]).bounds
    assert bounds.modalities == 3
    assert (bounds.lowest, bounds.highest) == pytest.approx((0.155, 0.576), abs=5e-4)
    trained.get_pipe("multimodal_ner").model.shims[0].network.fuse.bounded = False
    assert explain(trained, gold_docs(trained)[:1]).bounds is None


def test_scores_are_those_of_the_component(trained):
    [post] = explain(trained, gold_docs(trained)[2:3]).posts
    doc = next(
        trained.pipe([example.predicted for example in examples_of(gold_docs(trained)[2:3])])
    )
    shown = [piece.score for piece in post.model.pieces if piece.score is not None]
    assert shown == pytest.approx([entity._.score for entity in doc.ents])


def test_a_fuser_that_weighs_nothing_has_no_attention(small_model, images):
    nlp = spacy.blank("en")
    fuse = {"@architectures": "spacy_mner.Concatenate.v1"}
    config = {"model": {**small_model, "fuse": fuse}, "images_root": str(images)}
    nlp.add_pipe("multimodal_ner", config=config)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    found = explain(nlp, gold_docs(nlp)[:3])
    assert [post.heat for post in found.posts] == [None] * 3
    assert len(found.thumbnails) == 2


def test_an_entity_shows_where_its_tokens_look(cross_modal_pipeline):
    car, animal, plain = explain(cross_modal_pipeline, gold_docs(cross_modal_pipeline)[:3]).posts
    assert car.heat is None
    [[look]] = car.looks
    doc = cross_modal_pipeline(make_doc(cross_modal_pipeline, ["my", "jaguar", "!"], "car.png"))
    expected = doc._.image_attention["image"][1].reshape(7, 7)
    np.testing.assert_allclose(look.cells[car.images[0]], expected, rtol=1e-4)
    assert animal.looks == [] and plain.looks == [[]]


def test_where_an_entity_looks_is_shown_over_the_images_that_were_used(cross_modal_pipeline):
    post = gold_docs(cross_modal_pipeline)[0]
    post._.image = ["gone.png", "car.png", "car.png", "animal.png"]
    with pytest.warns(ImageWarning):
        [shown] = explain(cross_modal_pipeline, [post]).posts
    assert shown.status.startswith("used 3 of 4")
    [[look]] = shown.looks
    assert list(look.cells) == shown.images
    shares = [np.sum(cells) for cells in look.cells.values()]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    # The car is there twice, and both are alike.
    doc = cross_modal_pipeline(
        make_doc(cross_modal_pipeline, ["my", "jaguar", "!"], ["car.png", "car.png", "animal.png"])
    )
    of_images = doc._.image_attention["image"][1].reshape(3, 49).sum(1)
    assert shares == pytest.approx([of_images[:2].sum(), of_images[2]], abs=1e-5)


def with_objects(docs):
    """The posts with objects in place of images."""
    objects = {"car.png": [{"label": "road"}, {"label": "wheel", "score": 0.9}]}
    for doc in docs:
        doc._.image_objects = objects.get(doc._.image, ["tree", "paw"]) if doc._.image else None
        doc._.image = None
    return docs


def test_an_entity_shows_which_objects_its_tokens_look_at(small_model, cross_modal_pipeline):
    nlp = spacy.blank("en")
    block = {"@architectures": "spacy_mner.ObjectEmbedding.v1", "width": 16}
    model = {**cross_modal_pipeline.config["components"]["multimodal_ner"]["model"]}
    model["embed"] = {**small_model["embed"], "image": None, "objects": block}
    nlp.add_pipe("multimodal_ner", config={"model": model, "annotate_attention": True})
    train(nlp, examples_of(with_objects(gold_docs(nlp))), steps=20)
    [post] = explain(nlp, with_objects(gold_docs(nlp))[:1]).posts
    [[look]] = post.looks
    assert (look.modality, look.even, look.cells) == ("objects", 0.5, {})
    assert {name for name, _ in look.told} == {"road", "wheel"}
    # Of several, the model reads the surest first.
    doc = nlp(with_objects(gold_docs(nlp))[0])
    expected = dict(zip(["wheel", "road"], doc._.image_attention["objects"][1], strict=True))
    assert dict(look.told) == pytest.approx(expected, abs=1e-5)


def test_attention_over_tokens_that_were_merged_later_is_not_shown(trained):
    trained.add_pipe("merge_entities")
    heats = [post.heat for post in explain(trained, gold_docs(trained)[:3]).posts]
    assert heats[2] is None
