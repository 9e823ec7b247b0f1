from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example

import spacy_mner
from spacy_mner.errors import MissingImagesWarning
from spacy_mner.extensions import IMAGE_DROPOUT
from spacy_mner.pipeline.multimodal_ner import MultimodalNER

from ..conftest import examples_of, gold_docs, make_doc, train


def answer(nlp: Language, doc: Doc) -> list[tuple[str, str]]:
    return [(entity.text, entity.label_) for entity in nlp(doc).ents]


def test_the_image_decides_what_the_text_leaves_open(trained):
    assert answer(trained, make_doc(trained, ["my", "lynx", "!"], "car.png")) == [("lynx", "ORG")]
    assert answer(trained, make_doc(trained, ["my", "lynx", "!"], "animal.png")) == []


def test_every_entity_has_the_probability_of_its_span(trained):
    doc = trained(make_doc(trained, ["hi", "Bob", "Dylan", "viper"]))
    assert [entity.text for entity in doc.ents] == ["Bob Dylan"]
    assert 0.5 < doc.ents[0]._.score <= 1.0


def test_entities_below_the_threshold_are_dropped(trained):
    doc = trained(make_doc(trained, ["hi", "Bob", "Dylan", "viper"]))
    component = trained.get_pipe("multimodal_ner")
    component.threshold = np.nextafter(doc.ents[0]._.score, 1.0)
    assert trained(make_doc(trained, ["hi", "Bob", "Dylan", "viper"])).ents == ()
    component.threshold = doc.ents[0]._.score
    assert len(trained(make_doc(trained, ["hi", "Bob", "Dylan", "viper"])).ents) == 1


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


def test_attention_is_left_out_unless_asked_for(trained, cross_modal_pipeline):
    assert trained("my jaguar")._.image_attention is None
    trained.get_pipe("multimodal_ner").annotate_attention = False
    assert trained("my jaguar")._.modality_attention is None
    cross_modal_pipeline.get_pipe("multimodal_ner").annotate_attention = False
    assert (
        cross_modal_pipeline(make_doc(cross_modal_pipeline, ["my"], "car.png"))._.image_attention
        is None
    )


def test_attention_to_regions_is_that_of_the_posts_own_regions_in_any_batch(cross_modal_pipeline):
    posts = [
        (["my", "jaguar", "!"], ["car.png", "animal.png"]),
        (["my", "jaguar"], "car.png"),
        (["my", "jaguar", "!", "hi"], None),
        ([], "car.png"),
    ]
    together = list(
        cross_modal_pipeline.pipe(make_doc(cross_modal_pipeline, *post) for post in posts)
    )
    for (words, image), doc, n_regions in zip(posts, together, [98, 49, 0, 49], strict=True):
        assert doc._.modality_attention is None
        [(name, weights)] = doc._.image_attention.items()
        assert (name, weights.dtype) == ("image", np.float32)
        assert weights.shape == (len(words), n_regions)
        np.testing.assert_allclose(weights.sum(axis=1), float(n_regions > 0), atol=1e-5)
        alone = cross_modal_pipeline(
            make_doc(cross_modal_pipeline, words, image)
        )._.image_attention["image"]
        np.testing.assert_allclose(weights, alone, atol=1e-6)


def test_attention_to_regions_travels_in_a_docbin(cross_modal_pipeline):
    doc = cross_modal_pipeline(make_doc(cross_modal_pipeline, ["my", "jaguar"], "car.png"))
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    [read] = DocBin().from_bytes(data).get_docs(cross_modal_pipeline.vocab)
    np.testing.assert_array_equal(read._.image_attention["image"], doc._.image_attention["image"])


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
def test_the_status_says_what_became_of_the_image(trained, image, status):
    assert trained(make_doc(trained, ["hi"], image))._.image_status == status


@pytest.mark.filterwarnings("ignore::spacy_mner.errors.ImageWarning")
def test_a_broken_image_is_masked(trained):
    doc = trained(make_doc(trained, ["my", "jaguar", "!"], b"this is not an image"))
    assert doc._.image_status.startswith("unreadable: ")
    without = trained(make_doc(trained, ["my", "jaguar", "!"]))
    np.testing.assert_array_equal(
        doc._.modality_attention["word"], without._.modality_attention["word"]
    )


def test_bytes_arrays_and_pil_images_are_answered_as_their_file(trained, images):
    from PIL import Image

    path = images / "car.png"
    with Image.open(path) as image:
        forms = [path, path.read_bytes(), image, np.asarray(image)]
        docs = [trained(make_doc(trained, ["my", "jaguar", "!"], form)) for form in forms]
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


@given(posts=POSTS, batch_size=st.integers(1, 9), shuffled=st.randoms())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore::spacy_mner.errors.ImageWarning")
def test_a_post_is_answered_the_same_in_any_batch_and_order(trained, posts, batch_size, shuffled):
    alone = [trained(make_doc(trained, words, image)) for words, image in posts]
    order = list(range(len(posts)))
    shuffled.shuffle(order)
    docs = [make_doc(trained, *posts[i]) for i in order]
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


def test_large_batches_are_cut_without_changing_the_answer(trained, monkeypatch):
    words = [["hi", "Bob", "Dylan"] * n for n in (5, 1, 3, 8, 2)]
    whole = list(trained.pipe([make_doc(trained, w, "car.png") for w in words]))
    monkeypatch.setattr("spacy_mner.pipeline.multimodal_ner.PADDED_TOKENS", 10)
    cut = list(trained.pipe([make_doc(trained, w, "car.png") for w in words]))
    for one, other in zip(whole, cut, strict=True):
        assert [e.text for e in one.ents] == [e.text for e in other.ents]
        np.testing.assert_allclose(
            [e._.score for e in one.ents], [e._.score for e in other.ents], atol=1e-5
        )


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


def test_an_uninitialized_pipeline_says_so(untrained):
    with pytest.raises(ValueError, match="initialize"):
        untrained("hi Bob")


def test_two_processes_answer_as_one_after_training_in_the_parent(trained):
    # Running torch in the parent first is what makes a forked child hang.
    trained.update(examples_of(gold_docs(trained)), sgd=trained.create_optimizer())
    texts = ["hi Bob Dylan", "my jaguar !"] * 5
    alone = [[e.text for e in doc.ents] for doc in trained.pipe(texts)]
    forked = [[e.text for e in doc.ents] for doc in trained.pipe(texts, n_process=2, batch_size=3)]
    assert forked == alone


def test_images_survive_several_processes(trained):
    rows = [{"text": "my jaguar !", "image": f"{name}.png"} for name in ("car", "animal")] * 3
    docs = list(trained.pipe(spacy_mner.make_docs(trained, rows), n_process=2))
    assert [len(doc.ents) for doc in docs] == [1, 0] * 3
    assert {doc._.image_status for doc in docs} == {"used"}
    assert docs[0].ents[0]._.score > 0.5


# Training


def test_the_same_seed_gives_the_same_weights(small_model, images):
    weights = []
    for _ in range(2):
        nlp = spacy.blank("en")
        nlp.add_pipe("multimodal_ner", config={"model": small_model, "images_root": str(images)})
        train(nlp, examples_of(gold_docs(nlp)), steps=3)
        weights.append(nlp.get_pipe("multimodal_ner").model.shims[0].network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_image_encoder_is_bit_identical_after_training(untrained):
    featurizer = untrained.get_pipe("multimodal_ner").model.attrs["featurizers"].by_name["image"]
    encoder = featurizer.store.encoder
    image = np.full((30, 30, 3), 200, np.uint8)
    encoder.encode([image])
    network = encoder._loaded()[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(untrained, examples_of(gold_docs(untrained)), steps=3)
    assert encoder._loaded()[0] is network
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert any("running_mean" in name for name in before)


def test_tokens_without_annotation_do_not_count(untrained):
    """A post of which nothing is annotated costs nothing and moves nothing."""
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    component = untrained.get_pipe("multimodal_ner")
    blank = Example(
        make_doc(untrained, ["my", "jaguar"]),
        Doc(untrained.vocab, words=["my", "jaguar"], ents=["", ""]),
    )
    output, _ = component.model.begin_update([blank.predicted])
    loss, gradients = component.get_loss([blank], output)
    assert loss == pytest.approx(0.0, abs=1e-5)
    assert gradients.emissions.abs().max() < 1e-6


def test_a_partial_annotation_sums_over_what_is_open(untrained):
    """Its loss is -log of the summed probability of the complete annotations it leaves open."""
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    component = untrained.get_pipe("multimodal_ner")
    words = ["hi", "Bob"]

    def loss(tags: list[str]) -> float:
        reference = Doc(untrained.vocab, words=words, ents=tags)
        example = Example(make_doc(untrained, words), reference)
        return component.get_loss([example], component.model.predict([example.predicted]))[0]

    complete = [["O", tag] for tag in ("O", "B-PER", "B-ORG")]
    expected = -np.log(sum(np.exp(-loss(tags)) for tags in complete))
    assert loss(["O", ""]) == pytest.approx(expected, abs=1e-5)


def test_other_tokens_than_the_gold_ones_are_aligned(untrained):
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    reference = Doc(
        untrained.vocab,
        words=["Bob", "Dylan", "!"],
        spaces=[True, False, False],
        ents=["B-PER", "I-PER", "O"],
    )
    predicted = Doc(untrained.vocab, words=["Bob", "Dyl", "an!"], spaces=[True, False, False])
    losses = untrained.get_pipe("multimodal_ner").update([Example(predicted, reference)])
    assert np.isfinite(losses["multimodal_ner"])


def test_image_dropout_takes_other_images_away_in_every_step_of_training_only(untrained):
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    component = untrained.get_pipe("multimodal_ner")
    docs = [make_doc(untrained, ["my", "ram"], "car.png") for _ in range(40)]
    for doc in docs:
        doc.user_data[IMAGE_DROPOUT] = 0.5
    spacy.util.fix_random_seed(0)
    drawn = []
    for _ in range(2):
        output, _ = component.model.begin_update(docs)
        drawn.append([status.kind == "used" for status in output.image_status])
    assert drawn[0] != drawn[1]
    assert 5 < sum(drawn[0]) < 35
    assert {str(one) for one in component.model.predict(docs).image_status} == {"used"}


def test_an_unknown_gold_label_is_named(untrained):
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    reference = Doc(untrained.vocab, words=["Oslo"], ents=["B-LOC"])
    with pytest.raises(ValueError, match="'LOC'"):
        untrained.update([Example(Doc(untrained.vocab, words=["Oslo"]), reference)])


def test_a_reader_that_drops_the_images_is_told_of_once(untrained):
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    for example in examples:
        spacy_mner.extensions.drop_image(example.predicted)
    with pytest.warns(MissingImagesWarning, match="MultimodalCorpus") as caught:
        untrained.update(examples)
        untrained.update(examples)
    assert len([w for w in caught if w.category is MissingImagesWarning]) == 1


def test_rehearse_is_refused_in_words(trained):
    with pytest.raises(ValueError, match="rehearse"):
        trained.rehearse(examples_of(gold_docs(trained)))


def test_a_label_is_added_before_and_refused_after_initialization(untrained):
    component = untrained.get_pipe("multimodal_ner")
    assert component.add_label("LOC") == 1
    assert component.add_label("LOC") == 0
    untrained.initialize(lambda: examples_of(gold_docs(untrained)))
    assert component.labels == ("LOC", "ORG", "PER")
    with pytest.raises(ValueError, match="EVENT"):
        component.add_label("EVENT")


def test_label_data_initializes_another_pipeline_from_no_more_than_a_sample(untrained, small_model):
    examples = examples_of(gold_docs(untrained))
    untrained.initialize(lambda: examples)
    data = untrained.get_pipe("multimodal_ner").label_data
    other = spacy.blank("en")
    component = other.add_pipe("multimodal_ner", config={"model": small_model})
    component.initialize(lambda: examples[:1], nlp=other, labels=data)
    assert component.label_data == data


def test_averaged_weights_are_used_and_taken_out_again(trained):
    component = trained.get_pipe("multimodal_ner")
    shim = component.model.shims[0]
    name, parameter = next(iter(shim.network.named_parameters()))
    before = parameter.detach().clone()
    average = np.full(tuple(parameter.shape), 7.0, np.float32)
    with trained.use_params({(shim.id, name): average}):
        assert (parameter == 7.0).all()
    assert torch.equal(parameter, before)


# Saving


def test_bytes_and_disk_hold_the_whole_component(trained, tmp_path):
    doc = trained(make_doc(trained, ["my", "jaguar", "!"], "car.png"))
    trained.to_disk(tmp_path / "model")
    loaded = [
        spacy.load(tmp_path / "model"),
        spacy.util.load_model_from_config(trained.config).from_bytes(trained.to_bytes()),
    ]
    for nlp in loaded:
        again = nlp(make_doc(nlp, ["my", "jaguar", "!"], "car.png"))
        assert again.ents[0]._.score == doc.ents[0]._.score


def test_weights_are_safetensors_and_no_file_is_a_pickle(trained, tmp_path):
    from safetensors.torch import load_file

    trained.to_disk(tmp_path / "model")
    folder = tmp_path / "model" / "multimodal_ner"
    assert "decode.transitions" in load_file(folder / "network.safetensors")
    for path in folder.rglob("*"):
        head = path.read_bytes()[:8] if path.is_file() else b""
        assert not head.startswith((b"\x80", b"PK\x03\x04")) or path.suffix == ".msgpack"


def test_a_component_is_picklable(trained):
    component = pickle.loads(pickle.dumps(trained.get_pipe("multimodal_ner")))
    doc = make_doc(trained, ["my", "jaguar", "!"], "car.png")
    assert component(doc).ents[0].label_ == "ORG"


def test_a_settings_override_at_load_wins(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model", config={"components.multimodal_ner.threshold": 0.25})
    assert nlp.get_pipe("multimodal_ner").threshold == 0.25


def test_a_model_of_other_modalities_is_refused(trained, small_model, tmp_path):
    config = {**small_model, "embed": {k: small_model["embed"][k] for k in ("word", "char")}}
    other = spacy.blank("en")
    component = other.add_pipe("multimodal_ner", config={"model": config})
    trained.get_pipe("multimodal_ner").to_disk(tmp_path / "component")
    with pytest.raises(ValueError, match="image"):
        component.from_disk(tmp_path / "component", exclude=["vocab"])


def test_images_and_answers_survive_a_docbin(trained, images):
    from PIL import Image

    references = [
        "car.png",
        images / "car.png",
        (images / "car.png").read_bytes(),
        Image.open(images / "car.png"),
        np.zeros((4, 5, 3), np.uint8),
    ]
    docs = [trained(make_doc(trained, ["my", "jaguar", "!"], image)) for image in references]
    data = DocBin(docs=docs, store_user_data=True).to_bytes()
    for doc, again in zip(docs, DocBin().from_bytes(data).get_docs(trained.vocab), strict=True):
        assert [e._.score for e in again.ents] == [e._.score for e in doc.ents]
        assert again._.image_status == "used"
        np.testing.assert_array_equal(
            again._.modality_attention["image"], doc._.modality_attention["image"]
        )
        assert [e.text for e in trained(again).ents] == [e.text for e in doc.ents]


# Configs


def test_a_config_gets_exactly_the_modalities_that_it_names(small_model):
    embed = {"letters": small_model["embed"]["char"], "words": small_model["embed"]["word"]}
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": {**small_model, "embed": embed}})
    model = nlp.get_pipe("multimodal_ner").model
    assert list(model.attrs["featurizers"].by_name) == ["letters", "words"]
    again = spacy.util.load_model_from_config(nlp.config)
    names = again.get_pipe("multimodal_ner").model.attrs["featurizers"].by_name
    assert sorted(names) == ["letters", "words"]


@pytest.mark.parametrize("embed", [{}, {"word": 3}, {"a.b": None}, {"tok2vec": None}])
def test_a_wrong_embed_block_is_named(small_model, embed):
    embed = {k: small_model["embed"]["word"] if v is None else v for k, v in embed.items()}
    with pytest.raises(ValueError, match="modality"):
        spacy.blank("en").add_pipe(
            "multimodal_ner", config={"model": {**small_model, "embed": embed}}
        )


@pytest.mark.parametrize(
    "stage, block, belongs",
    [("fuse", "BiLSTM", "encode"), ("encode", "CRF", "decode"), ("decode", "Concatenate", "fuse")],
)
def test_a_block_of_another_stage_is_named(small_model, stage, block, belongs):
    model = {**small_model, stage: {"@architectures": f"spacy_mner.{block}.v1"}}
    with pytest.raises(ValueError, match=f"model.{stage}.*model.{belongs}"):
        spacy.blank("en").add_pipe("multimodal_ner", config={"model": model})


@pytest.mark.parametrize("stage", ["fuse", "encode", "decode"])
def test_an_empty_stage_is_named(small_model, stage):
    with pytest.raises(ValueError, match=f"model.{stage}"):
        spacy.blank("en").add_pipe("multimodal_ner", config={"model": {**small_model, stage: None}})


def test_a_corpus_without_entities_is_named(untrained):
    docs = [make_doc(untrained, ["nothing", "here"], None, ["O", "O"])]
    with pytest.raises(ValueError, match="no entities"):
        untrained.initialize(lambda: examples_of(docs))


def test_modalities_of_different_widths_are_named_under_attention(untrained, small_model):
    embed = {**small_model["embed"], "word": {**small_model["embed"]["word"], "width": 20}}
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": {**small_model, "embed": embed}})
    with pytest.raises(ValueError, match="word = 20"):
        nlp.initialize(lambda: examples_of(gold_docs(nlp)))


def test_a_sourced_component_keeps_its_weights(trained, tmp_path: Path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", source=spacy.load(tmp_path / "model"))
    doc = make_doc(nlp, ["my", "jaguar", "!"], "car.png")
    expected = trained(make_doc(trained, ["my", "jaguar", "!"], "car.png"))
    assert nlp(doc).ents[0]._.score == expected.ents[0]._.score
