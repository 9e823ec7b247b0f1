from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc

import spacy_mner
from spacy_mner.errors import ImageWarning
from spacy_mner.pipeline.multimodal_ner import MultimodalNER

from ..conftest import examples_of, gold_docs, make_doc


def answer(nlp: Language, doc: Doc) -> list[tuple[str, str]]:
    return [(entity.text, entity.label_) for entity in nlp(doc).ents]


def test_the_image_disambiguates_the_text(trained):
    assert answer(trained, make_doc(trained, ["my", "lynx", "!"], "car.png")) == [("lynx", "ORG")]
    assert answer(trained, make_doc(trained, ["my", "lynx", "!"], "animal.png")) == []


def test_entities_have_probabilities_and_those_below_the_threshold_are_dropped(trained):
    component = trained.get_pipe("multimodal_ner")
    words = ["hi", "Bob", "Dylan", "viper"]
    [entity] = trained(make_doc(trained, words)).ents
    assert entity.text == "Bob Dylan" and 0.5 < entity._.score <= 1.0
    component.threshold = np.nextafter(entity._.score, 1.0)
    assert trained(make_doc(trained, words)).ents == ()
    component.threshold = entity._.score
    assert len(trained(make_doc(trained, words)).ents) == 1


def test_a_threshold_outside_zero_and_one_is_refused():
    with pytest.raises(ValueError, match="threshold"):
        spacy.blank("en").add_pipe("multimodal_ner", config={"threshold": 1.5})


def test_attention_of_every_token_sums_to_one_and_an_absent_modality_has_none(trained):
    doc = trained(make_doc(trained, ["my", "jaguar", "!"], "car.png"))
    weights = doc._.modality_attention
    assert list(weights) == ["word", "char", "image"]
    assert all(w.dtype == np.float32 and w.shape == (3,) for w in weights.values())
    np.testing.assert_allclose(sum(weights.values()), 1.0, atol=1e-6)
    without = trained(make_doc(trained, ["my", "jaguar", "!"]))._.modality_attention
    assert not without["image"].any()
    np.testing.assert_allclose(without["word"] + without["char"], 1.0, atol=1e-6)


def test_attention_is_none_unless_annotated(trained, cross_modal_pipeline):
    assert trained("my jaguar")._.image_attention is None
    for nlp, name in ((trained, "modality"), (cross_modal_pipeline, "image")):
        nlp.get_pipe("multimodal_ner").annotate_attention = False
        assert nlp(make_doc(nlp, ["my"], "car.png"))._.get(f"{name}_attention") is None


def test_image_attention_covers_the_regions_of_the_post_in_any_batch(cross_modal_pipeline):
    nlp = cross_modal_pipeline
    posts = [
        (["my", "jaguar", "!"], ["car.png", "animal.png"]),
        (["my", "jaguar"], "car.png"),
        (["my", "jaguar", "!", "hi"], None),
        ([], "car.png"),
    ]
    together = list(nlp.pipe(make_doc(nlp, *post) for post in posts))
    for post, doc, n_regions in zip(posts, together, [98, 49, 0, 49], strict=True):
        assert doc._.modality_attention is None
        [(name, weights)] = doc._.image_attention.items()
        assert (name, weights.dtype) == ("image", np.float32)
        assert weights.shape == (len(doc), n_regions)
        np.testing.assert_allclose(weights.sum(axis=1), float(n_regions > 0), atol=1e-5)
        alone = nlp(make_doc(nlp, *post))._.image_attention["image"]
        np.testing.assert_allclose(weights, alone, atol=1e-6)


@pytest.mark.parametrize(
    "image, status",
    [
        ("car.png", "used"),
        (None, "absent"),
        ("gone.png", "unreadable: no such file: gone.png"),
        (["car.png", "gone.png"], "used 1 of 2: no such file: gone.png"),
    ],
)
@pytest.mark.filterwarnings("ignore::spacy_mner.errors.ImageWarning")
def test_the_image_status_gives_the_reason(trained, image, status):
    assert trained(make_doc(trained, ["hi"], image))._.image_status == status


def test_a_broken_image_is_masked_with_one_warning(trained):
    doc = make_doc(trained, ["my", "jaguar", "!"], b"this is not an image")
    with pytest.warns(ImageWarning) as caught:
        doc = trained(doc)
    assert len(caught) == 1
    assert doc._.image_status.startswith("unreadable: ")
    without = trained(make_doc(trained, ["my", "jaguar", "!"]))
    np.testing.assert_array_equal(
        doc._.modality_attention["word"], without._.modality_attention["word"]
    )


def test_bytes_arrays_and_pil_images_are_predicted_as_their_file(trained, images):
    from PIL import Image

    path = images / "car.png"
    with Image.open(path) as image:
        given = [path, path.read_bytes(), image, np.asarray(image)]
        docs = [trained(make_doc(trained, ["my", "jaguar", "!"], one)) for one in given]
    scores = {doc.ents[0]._.score for doc in docs}
    assert len(scores) == 1


def test_make_docs_turns_rows_into_docs_with_images(trained):
    rows = [{"text": "my jaguar !", "image": "car.png"}, {"text": "my jaguar !"}]
    docs = list(trained.pipe(spacy_mner.make_docs(trained, rows)))
    assert [doc._.image_status for doc in docs] == ["used", "absent"]


WORDS = st.sampled_from(
    ["my", "jaguar", "hi", "Bob", "Dylan", "🎸", "ram", "!", "\u200b", "x" * 60]
)
POSTS = st.lists(
    st.tuples(
        st.lists(WORDS, max_size=12), st.sampled_from(["car.png", "animal.png", None, "gone"])
    ),
    min_size=1,
    max_size=8,
)


@given(
    posts=POSTS,
    batch_size=st.integers(1, 9),
    shuffled=st.randoms(),
    padded_tokens=st.sampled_from([10, 8192]),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore::spacy_mner.errors.ImageWarning")
def test_a_prediction_does_not_depend_on_batch_and_order(
    trained, posts, batch_size, shuffled, padded_tokens
):
    alone = [trained(make_doc(trained, words, image)) for words, image in posts]
    order = list(range(len(posts)))
    shuffled.shuffle(order)
    docs = [make_doc(trained, *posts[i]) for i in order]
    with mock.patch("spacy_mner.pipeline.multimodal_ner.PADDED_TOKENS", padded_tokens):
        together = list(trained.pipe(docs, batch_size=batch_size))
    for i, doc in zip(order, together, strict=True):
        expected = alone[i]
        assert [(e.start, e.end, e.label_) for e in doc.ents] == [
            (e.start, e.end, e.label_) for e in expected.ents
        ]
        scores = [e._.score for e in doc.ents], [e._.score for e in expected.ents]
        np.testing.assert_allclose(*scores, atol=1e-5)
        for name, weights in expected._.modality_attention.items():
            np.testing.assert_allclose(doc._.modality_attention[name], weights, atol=1e-5)


def test_a_post_without_image_scores_as_in_a_model_without_the_image_term(trained, small_model):
    """Moon et al. 2018, eq. 5: the two-modality model with the same weights."""
    config = {**small_model, "embed": {k: small_model["embed"][k] for k in ("word", "char")}}
    twin = spacy.blank("en")
    twin.add_pipe("multimodal_ner", config={"model": config})
    twin.initialize(lambda: examples_of(gold_docs(twin)))
    source = trained.get_pipe("multimodal_ner").model.shims[0].network.state_dict()
    # W_m has a row for each modality and a block of columns for each: drop those of the image.
    source["fuse.score.weight"] = source["fuse.score.weight"][:2, :32]
    source["fuse.score.bias"] = source["fuse.score.bias"][:2]
    kept = {k: v for k, v in source.items() if not k.startswith("embed.image.")}
    twin.get_pipe("multimodal_ner").model.shims[0].network.load_state_dict(kept)
    words = ["hi", "Bob", "Dylan", "jaguar"]
    with_term = trained(make_doc(trained, words)).ents
    without = twin(make_doc(twin, words)).ents
    assert [e.text for e in with_term] == [e.text for e in without] != []
    np.testing.assert_allclose(
        [e._.score for e in with_term], [e._.score for e in without], atol=1e-6
    )


def test_a_post_that_fails_goes_to_the_error_handler_alone(trained, monkeypatch):
    predict = MultimodalNER.predict

    def fail_on_poison(self, docs):
        docs = list(docs)
        if any("poison" in doc.text for doc in docs):
            raise RuntimeError("poisoned")
        return predict(self, docs)

    monkeypatch.setattr(MultimodalNER, "predict", fail_on_poison)
    failed = []
    trained.set_error_handler(lambda name, pipe, docs, error: failed.extend(docs))
    texts = ["hi Bob", "poison", "hi Dylan", "ram"]
    assert [doc.text for doc in trained.pipe(texts)] == ["hi Bob", "hi Dylan", "ram"]
    assert [doc.text for doc in failed] == ["poison"]


def test_an_empty_post_and_an_empty_stream_are_ordinary_input(trained):
    assert trained("").ents == ()
    assert list(trained.pipe([])) == []


def test_an_uninitialized_pipeline_raises(untrained):
    with pytest.raises(ValueError, match="initialize"):
        untrained("hi Bob")


def test_two_processes_predict_the_same_as_one_after_training_in_the_parent(trained):
    # Running torch in the parent first is what makes a forked child hang.
    trained.update(examples_of(gold_docs(trained)), sgd=trained.create_optimizer())
    rows = [{"text": "my jaguar !", "image": f"{name}.png"} for name in ("car", "animal")] * 5
    alone, forked = (
        [
            ([e.text for e in doc.ents], doc._.image_status)
            for doc in trained.pipe(spacy_mner.make_docs(trained, rows), **settings)
        ]
        for settings in ({}, {"n_process": 2, "batch_size": 3})
    )
    assert forked == alone
    assert [len(entities) for entities, _ in alone] == [1, 0] * 5
    assert {status for _, status in alone} == {"used"}
