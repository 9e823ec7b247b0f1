"""A text encoder of Hugging Face inside the model, in whole pipelines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.training.loop import subdivide_batch

from spacy_mner.errors import UsageError
from spacy_mner.training.optimizers import AdamW

from ..conftest import examples_of, gold_docs, make_doc
from ..encoders import write_bert, write_roberta

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("encoder") / "bert")


def pipeline(encoder: Path | str, **config: Any) -> Language:
    text = {"@architectures": "spacy_mner.Transformer.v1", "name": str(encoder), "max_length": 64}
    model = {
        "@architectures": "spacy_mner.MultimodalTagger.v1",
        "embed": {"text": {**text, **config}},
        "fuse": {"@architectures": "spacy_mner.Concatenate.v1", "dropout": 0.1},
        "encode": {"@architectures": "spacy_mner.NoEncoder.v1"},
        "decode": {"@architectures": "spacy_mner.CRF.v1"},
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("multimodal_ner", config={"model": model})
    return nlp


def initialized(encoder: Path) -> Language:
    nlp = pipeline(encoder)
    nlp.initialize(lambda: examples_of(gold_docs(nlp)))
    return nlp


def network(nlp: Language) -> torch.nn.Module:
    return nlp.get_pipe("multimodal_ner").model.shims[0].network


def encoder_weights(nlp: Language) -> dict[str, torch.Tensor]:
    weights = network(nlp).embed["text"].encoder.state_dict()
    return {name: value.clone() for name, value in weights.items()}


def train(nlp: Language, steps: int = 40) -> Language:
    torch.manual_seed(0)
    examples = examples_of(gold_docs(nlp))
    nlp.initialize(lambda: examples)
    optimizer = AdamW(0.02, encoder_learn_rate=0.005)
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    return nlp


@pytest.fixture(scope="module")
def trained(bert: Path) -> Language:
    return train(pipeline(bert, context=True))


def entities(nlp: Language, words: list[str]) -> list[tuple[str, str, float]]:
    return [(e.text, e.label_, e._.score) for e in nlp(make_doc(nlp, words)).ents]


WORDS = ["hi", "Bob", "Dylan", "\u200b", "ram"]


def test_the_encoder_is_initialized_with_pretrained_weights(bert):
    from transformers import AutoModel

    nlp = initialized(bert)
    for name, value in AutoModel.from_pretrained(bert).state_dict().items():
        assert torch.equal(encoder_weights(nlp)[name], value)


def test_tokens_have_the_vectors_of_their_first_piece(bert):
    from transformers import AutoModel, AutoTokenizer

    nlp = initialized(bert)
    words = ["hi", "co/x", "bob"]
    pieces = AutoTokenizer.from_pretrained(bert)(
        words, is_split_into_words=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = AutoModel.from_pretrained(bert).eval()(**pieces).last_hidden_state[0]
    seen = []
    network(nlp).embed["text"].register_forward_hook(lambda *call: seen.append(call[-1]))
    nlp(make_doc(nlp, words))
    firsts = [pieces.word_to_tokens(i).start for i in range(3)]
    torch.testing.assert_close(seen[0].vectors, expected[firsts], atol=1e-5, rtol=0)


def test_training_updates_the_encoder(trained, bert):
    assert [e[:2] for e in entities(trained, WORDS)] == [("Bob Dylan", "PER")]
    before, after = encoder_weights(initialized(bert)), encoder_weights(trained)
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(before[name], after[name])


def test_a_frozen_encoder_is_bit_identical_after_training(bert):
    nlp = train(pipeline(bert, freeze=True), steps=3)
    expected = encoder_weights(initialized(bert))
    assert all(torch.equal(value, expected[n]) for n, value in encoder_weights(nlp).items())


def test_a_roberta_is_supported(tmp_path):
    nlp = train(pipeline(write_roberta(tmp_path / "roberta")))
    assert [e[:2] for e in entities(nlp, WORDS)] == [("Bob Dylan", "PER")]


def test_entities_are_found_throughout_a_long_post_with_unknown_tokens(trained):
    words = ["hi", "Bob", "Dylan", "http://" + "x" * 200, "\ufe0f", "🎸", " "] * 30
    doc = trained(make_doc(trained, words))
    found = {entity.start for entity in doc.ents if entity.text == "Bob Dylan"}
    assert found == {i for i, word in enumerate(words) if word == "Bob"}


def test_empty_posts_have_no_entities(trained):
    assert trained("").ents == ()
    assert [doc.text for doc in trained.pipe(["", "hi", ""])] == ["", "hi", ""]


POSTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([*WORDS, "🎸", "http://abc", "x" * 50]), max_size=30),
        st.sampled_from([None, "a dog", "my ram " * 40]),
    ),
    min_size=1,
    max_size=6,
)


@given(posts=POSTS, batch_size=st.integers(1, 6))
@settings(max_examples=20, deadline=None, suppress_health_check=[*HealthCheck])
def test_predictions_are_independent_of_the_batch(trained, posts, batch_size):
    def docs() -> Any:
        for words, image_text in posts:
            doc = make_doc(trained, words)
            doc._.image_text = image_text
            yield doc

    alone = [trained(doc) for doc in docs()]
    for one, other in zip(alone, trained.pipe(docs(), batch_size=batch_size), strict=True):
        assert [e.text for e in one.ents] == [e.text for e in other.ents]
        scores = [e._.score for e in one.ents], [e._.score for e in other.ents]
        np.testing.assert_allclose(*scores, atol=1e-4)


def test_the_image_text_changes_the_prediction(trained):
    scores = []
    for image_text in (None, "", "a dog"):
        doc = make_doc(trained, WORDS)
        doc._.image_text = image_text
        scores.append(trained(doc).ents[0]._.score)
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("n_parts", [2, 3])
def test_accumulated_gradients_equal_those_of_one_batch(tmp_path, monkeypatch, n_parts):
    """As `[training] accumulate_gradient` has it: many updates, then one step."""
    gradients: list[dict[str, torch.Tensor]] = []
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    nlp = pipeline(write_bert(tmp_path / "bert", **rates), dropout=0.0)
    examples = examples_of(gold_docs(nlp))
    nlp.initialize(lambda: examples)
    network(nlp).fuse.dropout.p = 0.0
    parameters = dict(network(nlp).named_parameters())
    optimizer = AdamW()

    def record(network: torch.nn.Module) -> None:
        gradients.append({n: p.grad for n, p in parameters.items() if p.grad is not None})
        network.zero_grad()

    monkeypatch.setattr(AdamW, "update_network", lambda self, _, network: record(network))
    examples = [*examples, *examples, examples[0]]  # an odd number: the parts differ in size
    for parts in (1, n_parts):
        for part in subdivide_batch(examples, parts):
            nlp.update(part, sgd=False)
        nlp.get_pipe("multimodal_ner").finish_update(optimizer)
    assert gradients[0]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-3)


@pytest.mark.slow
def test_a_saved_pipeline_needs_neither_encoder_folder_nor_network_access(tmp_path):
    folder = write_bert(tmp_path / "bert")
    nlp = train(pipeline(folder), steps=15)
    expected = entities(nlp, WORDS)
    nlp.to_disk(tmp_path / "model")
    shutil.rmtree(folder)
    code = f"""
import socket
def refuse(*args, **kwargs):
    raise AssertionError("network access")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import json, spacy
from spacy.tokens import Doc
nlp = spacy.load({str(tmp_path / "model")!r})
doc = nlp(Doc(nlp.vocab, words={WORDS!r}))
print(json.dumps([(e.text, e.label_, e._.score) for e in doc.ents]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert [e[:2] for e in found] == [list(e[:2]) for e in expected]
    assert [e[2] for e in found] == pytest.approx([e[2] for e in expected], abs=1e-5)


def test_saved_files_are_safetensors_and_do_not_contain_the_encoder_folder(trained, tmp_path, bert):
    from safetensors.torch import load_file

    trained.get_pipe("multimodal_ner").to_disk(tmp_path / "component", exclude=["vocab"])
    weights = load_file(tmp_path / "component" / "network.safetensors")
    assert "embed.text.encoder.embeddings.word_embeddings.weight" in weights
    assert not any(str(bert).encode() in f.read_bytes() for f in (tmp_path / "component").iterdir())


def test_bytes_include_the_encoder(trained):
    config = json.loads(json.dumps(trained.config))
    config["components"]["multimodal_ner"]["model"]["embed"]["text"]["name"] = "nowhere"
    again = spacy.util.load_model_from_config(config).from_bytes(trained.to_bytes())
    assert entities(again, WORDS) == entities(trained, WORDS)


def test_two_processes_predict_the_same_as_one_after_training_in_the_parent(trained):
    texts = ["hi Bob Dylan ram", "my jaguar !"] * 5
    alone = [[e.text for e in doc.ents] for doc in trained.pipe(texts)]
    forked = [[e.text for e in doc.ents] for doc in trained.pipe(texts, n_process=2, batch_size=3)]
    assert forked == alone
    assert alone[0] == ["Bob Dylan"]


def test_label_data_initializes_another_pipeline(trained, bert):
    component = trained.get_pipe("multimodal_ner")
    data = json.loads(json.dumps(component.label_data))
    other = pipeline(bert, context=True)
    again = other.get_pipe("multimodal_ner")
    again.initialize(lambda: examples_of(gold_docs(other))[:1], nlp=other, labels=data)
    assert again.label_data == component.label_data
    from transformers import AutoModel

    pretrained = AutoModel.from_pretrained(bert).state_dict()
    assert all(torch.equal(v, pretrained[name]) for name, v in encoder_weights(other).items())


def test_a_missing_library_raises_with_the_extra(bert, monkeypatch, tmp_path):
    initialized(bert).to_disk(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"spacy-mner\[transformers\]"):
        spacy.load(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"spacy-mner\[transformers\]"):
        initialized(bert)
