from __future__ import annotations

from pathlib import Path

import pytest
import spacy

from ..conftest import examples_of, gold_docs, make_doc


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
