from __future__ import annotations

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


def block(name: str) -> dict[str, str]:
    return {"@architectures": f"spacy_mner.{name}.v1"}


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"fuse": None}, "model.fuse"),
        ({"encode": None}, "model.encode"),
        ({"decode": None}, "model.decode"),
        ({"fuse": block("BiLSTM")}, "model.fuse.*model.encode"),
        ({"encode": block("CRF")}, "model.encode.*model.decode"),
        ({"decode": block("Concatenate")}, "model.decode.*model.fuse"),
        ({"embed": {}}, "modality"),
        ({"embed": {"word": 3}}, "modality"),
        ({"embed": {"a.b": block("CharCNN")}}, "modality"),
        ({"embed": {"tok2vec": block("CharCNN")}}, "modality"),
    ],
)
def test_a_wrong_block_is_named_with_its_place(small_model, changes, place):
    with pytest.raises(ValueError, match=place):
        spacy.blank("en").add_pipe("multimodal_ner", config={"model": {**small_model, **changes}})


def test_a_corpus_without_entities_is_named(untrained):
    docs = [make_doc(untrained, ["nothing", "here"], None, ["O", "O"])]
    with pytest.raises(ValueError, match="no entities"):
        untrained.initialize(lambda: examples_of(docs))


def test_modalities_of_different_widths_are_named_under_attention(small_model, images):
    embed = {**small_model["embed"], "word": {**small_model["embed"]["word"], "width": 20}}
    nlp = spacy.blank("en")
    config = {"model": {**small_model, "embed": embed}, "images_root": str(images)}
    nlp.add_pipe("multimodal_ner", config=config)
    with pytest.raises(ValueError, match="word = 20"):
        nlp.initialize(lambda: examples_of(gold_docs(nlp)))
