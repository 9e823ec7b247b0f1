from __future__ import annotations

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_mner.cli.explain import no_images
from spacy_mner.errors import ImageWarning
from spacy_mner.extensions import POST_ID
from spacy_mner.visualize.explain import explain

from ..conftest import examples_of, gold_docs, make_doc, train
from ..encoders import write_bert
from ..evaluation.standin import make_pipeline, make_post


@pytest.fixture
def nlp():
    return make_pipeline()


def ruler(label):
    """A pipeline with another vocab that gives every jaguar the same label."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": label, "pattern": "jaguar"}])
    return nlp


def explain_posts(nlp, posts, *arguments, **options):
    docs = [make_post(nlp.vocab, label, image) for label, image in posts]
    return explain(nlp, docs, *arguments, **options)


def verdicts(explanation):
    return [post.verdict for post in explanation.posts]


def test_the_default_comparison_is_the_same_pipeline_without_images(nlp):
    # The stand-in predicts the label from the image, and nothing without one.
    posts = [("ORG", "ORG.jpg"), (None, "ORG.jpg"), ("CAR", "ORG.jpg"), ("ORG", None)]
    explanation = explain_posts(nlp, posts)
    assert explanation.image_ablation
    assert verdicts(explanation) == ["helped", "hurt", "both-wrong", "no-image"]
    assert set(explanation.counts.values()) == {1}
    assert (explanation.model.correct_posts, explanation.against.correct_posts) == (1, 1)


def test_a_second_pipeline_gets_the_images_and_may_have_another_vocab(nlp):
    posts = [("ORG", "ORG.jpg"), ("CAR", "ORG.jpg"), ("CAR", None)]
    explanation = explain_posts(nlp, posts, ruler("CAR"))
    assert not explanation.image_ablation
    assert verdicts(explanation) == ["helped", "hurt", "no-image"]
    assert (explanation.model.f1, explanation.against.f1) == pytest.approx((0.4, 2 / 3))
    assert verdicts(explain_posts(nlp, [("ORG", "ORG.jpg")], make_pipeline())) == ["both-right"]


@pytest.mark.parametrize("image", [None, "gone.jpg"])
def test_an_image_that_was_not_used_has_neither_helped_nor_hurt(nlp, image):
    [post] = explain_posts(nlp, [("CAR", image)], ruler("CAR")).posts
    assert (post.verdict, post.model.correct, post.against.correct) == ("no-image", False, True)
    text_only = explain_posts(ruler("ORG"), [("ORG", "ORG.jpg")], spacy.blank("en"))
    assert verdicts(text_only) == ["no-image"]


def test_image_text_counts_as_image_only_if_the_model_reads_it(small_model, tmp_path):
    text = {"@architectures": "spacy_mner.Transformer.v1", "name": str(write_bert(tmp_path))}
    explanations = []
    for context in (False, True):
        nlp = spacy.blank("en")
        block = {**small_model, "embed": {"text": {**text, "context": context, "max_length": 64}}}
        nlp.add_pipe("multimodal_ner", config={"model": block})
        nlp.initialize(lambda nlp=nlp: examples_of(gold_docs(nlp)))
        docs = [gold_docs(nlp)[0] for _ in range(2)]
        docs[0]._.image_text = "a dog"
        explanations.append(explain(nlp, docs))
    without, with_context = map(verdicts, explanations)
    assert without == ["no-image", "no-image"]
    assert with_context[0] != "no-image" and with_context[1] == "no-image"
    assert no_images(explanations[0]) and not no_images(explanations[1])


def test_posts_without_annotation_are_shown_without_a_verdict(nlp):
    docs = [make_post(nlp.vocab, "ORG", "ORG.jpg"), *(Doc(nlp.vocab, words=["hi"]) for _ in "ab")]
    docs[1]._.image = "ORG.jpg"
    explanation = explain(nlp, docs)
    assert verdicts(explanation) == ["helped", "unannotated", "unannotated"]
    assert (explanation.model.correct_posts, explanation.model.f1) == (1, 1)


def test_posts_without_tokens_are_skipped_and_counted(nlp):
    explanation = explain(nlp, [Doc(nlp.vocab), make_post(nlp.vocab, "ORG", None), Doc(nlp.vocab)])
    assert (len(explanation.posts), explanation.skipped) == (1, 2)
    explanation = explain(nlp, [])
    assert explanation.posts == [] and explanation.model.f1 is None


def test_no_more_posts_than_the_limit_are_read(nlp):
    docs = (make_post(nlp.vocab, "ORG", name) for name in ("ORG.jpg", "CAR.jpg", None))
    assert len(explain(nlp, docs, limit=2).posts) == 2
    assert len(list(docs)) == 1


def test_the_docs_are_not_changed(nlp):
    post = make_post(nlp.vocab, "ORG", "CAR.jpg")
    explain(nlp, [post])
    assert [entity.label_ for entity in post.ents] == ["ORG"]
    assert (post._.image, post._.image_status) == ("CAR.jpg", None)


def test_notes_give_the_image_status_and_why_an_image_is_not_shown(nlp):
    explanation = explain_posts(nlp, [("ORG", "gone.jpg"), ("ORG", None)])
    unreadable, absent = (post.notes for post in explanation.posts)
    assert unreadable[0] == "Image status: unreadable: no such file."
    assert unreadable[1] == "Image not shown: no such file: gone.jpg."
    assert absent == ["This post has no image."]
    assert explanation.images == {"unreadable": 1, "absent": 1}


def test_notes_contain_no_private_folder(nlp, tmp_path):
    folder = tmp_path / "photos"
    posts = [("ORG", str(folder / "day" / "gone.jpg")), ("ORG", "/home/me/gone.jpg")]
    inside, outside = explain_posts(nlp, posts, allowed_folder=folder).posts
    assert inside.notes[-1] == "Image not shown: no such file: day/gone.jpg."
    assert outside.notes[-1].startswith("Image not shown: its file is outside the folder of images")


def test_a_caption_that_is_not_a_string_is_noted(nlp):
    post = make_post(nlp.vocab, "ORG", "ORG.jpg")
    post.user_data["._.", "image_text", None, None] = ["a cat"]  # as read from a corpus file
    [shown] = explain(nlp, [post]).posts
    assert shown.caption == "" and "type is list" in shown.notes[0]


def test_a_descriptor_is_noted_and_its_caption_shown(nlp):
    post = make_post(nlp.vocab, "ORG", None)
    post._.image_features, post._.image_text = np.ones(384, np.float32), "a cat\n"
    post.user_data[POST_ID] = "17_06"
    explanation = explain(nlp, [post])
    [shown] = explanation.posts
    assert (shown.id, shown.caption, explanation.descriptors) == ("17_06", "a cat", 1)
    assert "descriptor (384)" in shown.notes[0]


@pytest.mark.parametrize(
    ("gold_tokens", "tokens", "predicted", "kind"),
    [
        # The gold span is inside of a token of the pipeline: an error that it cannot avoid.
        (["thanks ", "@", "Nike"], ["thanks", "@Nike"], "@Nike", "wrong"),
        (["the ", "#", "Nike"], ["the", "#", "Nike"], "Nike", "correct"),
        (["by ", "Nike", "/adidas"], ["by", "Nike", "/", "adidas"], "Nike", "correct"),
    ],
)
def test_predictions_are_made_on_the_tokens_of_the_pipeline(
    trained, gold_tokens, tokens, predicted, kind
):
    words, spaces = zip(*((one.strip(), one.endswith(" ")) for one in gold_tokens), strict=True)
    tags = ["B-ORG" if word == "Nike" else "O" for word in words]
    doc = Doc(trained.vocab, words=words, spaces=spaces, ents=tags)
    trained.get_pipe("multimodal_ner").threshold = 1.0  # the ruler alone predicts
    ruler = trained.add_pipe("entity_ruler", config={"overwrite_ents": True})
    ruler.add_patterns([{"label": "ORG", "pattern": [{"ORTH": predicted}]}])
    explanation = explain(trained, [doc])
    [post] = explanation.posts
    assert post.modality_weights.tokens == tokens
    assert [(one.text, one.kind) for one in post.gold.segments if one.kind] == [("Nike", "gold")]
    assert [(one.text, one.kind) for one in post.model.segments if one.kind] == [(predicted, kind)]
    assert post.model.correct is (kind == "correct")
    assert explanation.model.recall == (kind == "correct")


def test_images_and_tags_are_those_of_the_model(trained):
    explanation = explain(trained, gold_docs(trained))
    car, animal, plain = explanation.posts[:3]
    assert len(explanation.thumbnails) == 2
    assert car.images != animal.images and plain.images == []
    for thumbnail in explanation.thumbnails.values():
        probabilities = [probability for _, probability in thumbnail.tags]
        assert len(probabilities) == 5
        assert probabilities == sorted(probabilities, reverse=True)


def test_attention_is_shown_and_the_setting_of_the_component_restored(trained):
    tagger = trained.get_pipe("multimodal_ner")
    tagger.annotate_attention = False
    explanation = explain(trained, gold_docs(trained)[:3])
    for post in explanation.posts:
        weights = np.array(list(post.modality_weights.weights.values()))
        assert list(post.modality_weights.weights) == ["word", "char", "image"]
        assert weights.shape == (3, len(post.modality_weights.tokens))
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
    assert tagger.annotate_attention is False
    assert explanation.attention_bounds == pytest.approx((0.155, 0.576), abs=5e-4)


def test_scores_are_those_of_the_component(trained):
    docs = gold_docs(trained)[2:3]
    [post] = explain(trained, docs).posts
    [doc] = trained.pipe([example.predicted for example in examples_of(docs)])
    shown = [segment.score for segment in post.model.segments if segment.score is not None]
    assert shown == pytest.approx([entity._.score for entity in doc.ents])


def test_a_fuser_without_attention_has_neither_weights_nor_bounds(small_model, images):
    nlp = spacy.blank("en")
    fuse = {"@architectures": "spacy_mner.Concatenate.v1"}
    config = {"model": {**small_model, "fuse": fuse}, "images_root": str(images)}
    nlp.add_pipe("multimodal_ner", config=config)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    explanation = explain(nlp, gold_docs(nlp)[:3])
    assert [post.modality_weights for post in explanation.posts] == [None] * 3
    assert explanation.attention_bounds is None


def test_attention_of_tokens_that_were_merged_later_is_not_shown(trained):
    trained.add_pipe("merge_entities")
    assert explain(trained, gold_docs(trained)[:3]).posts[2].modality_weights is None


def test_region_attention_of_an_entity_is_that_of_its_tokens(cross_modal_pipeline):
    nlp = cross_modal_pipeline
    car, animal, plain = explain(nlp, gold_docs(nlp)[:3]).posts
    assert car.modality_weights is None
    [[attention]] = car.region_attention
    doc = nlp(make_doc(nlp, ["my", "jaguar", "!"], "car.png"))
    expected = doc._.image_attention["image"][1].reshape(7, 7)
    np.testing.assert_allclose(attention.cells[car.images[0]], expected, rtol=1e-4)
    assert animal.region_attention == [] and plain.region_attention == [[]]


def test_region_attention_is_shown_on_the_images_that_were_used(cross_modal_pipeline):
    nlp = cross_modal_pipeline
    post = gold_docs(nlp)[0]
    post._.image = ["gone.png", "car.png", "car.png", "animal.png"]
    with pytest.warns(ImageWarning):
        [shown] = explain(nlp, [post]).posts
    assert (shown.status.used, shown.status.total) == (3, 4)
    [[attention]] = shown.region_attention
    assert list(attention.cells) == shown.images
    shares = [np.sum(cells) for cells in attention.cells.values()]
    # The page shows the car once, with the attention to both of its occurrences.
    doc = nlp(make_doc(nlp, ["my", "jaguar", "!"], ["car.png", "car.png", "animal.png"]))
    per_image = doc._.image_attention["image"][1].reshape(3, 49).sum(1)
    assert shares == pytest.approx([per_image[:2].sum(), per_image[2]], abs=1e-5)


def test_region_attention_over_objects_has_their_labels(small_model, cross_modal_pipeline):
    nlp = spacy.blank("en")
    block = {"@architectures": "spacy_mner.ObjectEmbedding.v2", "width": 16}
    model = {**cross_modal_pipeline.config["components"]["multimodal_ner"]["model"]}
    model["embed"] = {**small_model["embed"], "image": None, "objects": block}
    nlp.add_pipe("multimodal_ner", config={"model": model, "annotate_attention": True})
    train(nlp, examples_of(with_objects(gold_docs(nlp))), steps=20)
    [post] = explain(nlp, with_objects(gold_docs(nlp))[:1]).posts
    [[attention]] = post.region_attention
    assert (attention.modality, attention.uniform, attention.cells) == ("objects", 0.5, {})
    # The model reads objects by descending score.
    doc = nlp(with_objects(gold_docs(nlp))[0])
    expected = dict(zip(["wheel", "road"], doc._.image_attention["objects"][1], strict=True))
    assert dict(attention.top_regions) == pytest.approx(expected, abs=1e-5)


def with_objects(docs):
    """Replace the images of posts by objects."""
    objects = {"car.png": [{"label": "road"}, {"label": "wheel", "score": 0.9}]}
    for doc in docs:
        doc._.image_objects = objects.get(doc._.image, ["tree", "paw"]) if doc._.image else None
        doc._.image = None
    return docs
