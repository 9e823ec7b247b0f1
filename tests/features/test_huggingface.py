"""Which text encoders of Hugging Face are supported, and the errors of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from safetensors.torch import load_file

from spacy_mner.features import TransformerFeaturizer
from spacy_mner.features.batch import PostBatch
from spacy_mner.features.huggingface import FILES, UNLIMITED, read_files, text_encoder
from spacy_mner.models.text_encoder import build_transformer_embedding

from ..conftest import make_doc
from ..encoders import write_bert, write_model
from ..pipeline.test_transformer import entities, network, pipeline, train

transformers = pytest.importorskip("transformers")
WORDS = ["hi", "Bob", "Dylan", "ram"]


SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
XLNET = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24}
GPT2 = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
REFORMER = {"hidden_size": 16, "attention_head_size": 8, "num_attention_heads": 2}
REFORMER |= {"attn_layers": ["local"], "axial_pos_embds": False, "feed_forward_size": 24}


def write(folder: Path, model: str, **settings: Any) -> Path:
    """A model with random weights. model: its class in transformers, without "Model"."""

    def make(n_pieces: int) -> Any:
        config = getattr(transformers, f"{model.removesuffix('Encoder')}Config")
        return getattr(transformers, f"{model}Model")(config(vocab_size=n_pieces, **settings))

    return write_model(folder / model, make)


@pytest.mark.parametrize(
    ("model", "settings", "reason"),
    [
        ("GPT2", GPT2, "causal decoder"),
        ("Llama", SIZES, "causal decoder"),
        ("Bert", {**SIZES, "is_decoder": True}, "causal decoder"),
        ("XLNet", {**XLNET, "attn_type": "uni"}, "causal decoder"),
        ("FNet", SIZES, "takes no attention_mask"),
        ("T5Encoder", T5, "encoder-decoder"),
        ("ViT", {**SIZES, "image_size": 16}, "no text input"),
        ("Roberta", {**SIZES, "pad_token_id": None}, "lacks pad_token_id"),
    ],
)
def test_unsupported_models_raise_with_the_reason(tmp_path, model, settings, reason):
    folder = write(tmp_path, model, **settings)
    with pytest.raises(ValueError, match=rf"not supported .*{reason}"):
        read_files(str(folder))


@pytest.mark.parametrize(
    ("model", "settings", "reason"),
    [("Bros", SIZES, "bbox"), ("Reformer", REFORMER, "its vectors have the width 32, not 16")],
)
def test_models_whose_forward_pass_does_not_fit_raise_at_initialization(
    tmp_path, model, settings, reason
):
    nlp = pipeline(write(tmp_path, model, **settings))
    with pytest.raises(ValueError, match=rf"not supported .*{reason}"):
        train(nlp, steps=0)


def test_a_model_of_text_and_images_is_unsupported(tmp_path):
    config = transformers.CLIPConfig()
    folder = write_bert(tmp_path / "clip")
    config.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"hidden_size"):
        read_files(str(folder))


def test_an_xlnet_with_relative_positions_has_no_maximum_length(tmp_path):
    folder = write(tmp_path, "XLNet", **XLNET)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "model_max_length": 1e30})
    )
    assert read_files(str(folder)).longest == UNLIMITED
    nlp = train(pipeline(folder, max_length=100, context=True), steps=60)
    assert [e[:2] for e in entities(nlp, WORDS)] == [("Bob Dylan", "PER")]
    nlp.to_disk(tmp_path / "model")
    assert entities(spacy.load(tmp_path / "model"), WORDS) == entities(nlp, WORDS)


def test_the_output_of_an_xlnet_is_independent_of_padding(tmp_path):
    nlp = train(pipeline(write(tmp_path, "XLNet", **XLNET)), steps=0)
    seen: list[np.ndarray] = []
    network(nlp).embed["text"].register_forward_hook(
        lambda *call: seen.append(call[-1].vectors.numpy()[: len(WORDS)])
    )
    model = nlp.get_pipe("multimodal_ner").model
    model.predict([make_doc(nlp, WORDS)])
    model.predict([make_doc(nlp, WORDS), make_doc(nlp, ["hi"] * 50)])
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-5)


@pytest.mark.parametrize("positions", [-1, 64])
def test_without_absolute_positions_the_tokenizer_limits_the_length(tmp_path, positions):
    folder = write_bert(tmp_path / "bert", longest=50)
    config = json.loads((folder / "config.json").read_text())
    config |= {"max_position_embeddings": positions, "pad_token_id": None}
    (folder / "config.json").write_text(json.dumps(config))
    assert read_files(str(folder)).longest == 50


def test_a_tokenizer_without_an_unknown_piece_is_unsupported(tmp_path):
    folder = write_bert(tmp_path / "bert")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    with pytest.raises(ValueError, match="unk_token"):
        read_files(str(folder))


def assert_unreadable(folder: Path, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read_files(str(folder))
        text_encoder(str(folder)).load("AutoModel")
    message = str(caught.value)
    assert repr(str(folder)) in message
    assert "huggingface.co" not in message
    assert len(message) < 600


TOKENIZER = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")


@pytest.mark.parametrize("names", [["config.json"], TOKENIZER, ["model.safetensors"]])
def test_missing_and_damaged_files_raise_with_folder_and_file(tmp_path, names):
    folder = write_bert(tmp_path / "bert")
    (folder / names[0]).write_text("{truncated")
    assert_unreadable(folder, f"{names[0]} cannot be read")
    for name in names:
        (folder / name).unlink()
    is_config = names[0] == "config.json"
    assert_unreadable(folder, f"has no {names[0]}" if is_config else f"{names[0]} cannot be read")


@pytest.mark.parametrize("name", ["missing", "config.json"])
def test_a_folder_that_does_not_exist_raises(tmp_path, name):
    assert_unreadable(write_bert(tmp_path / "bert") / name, "no such folder")


def test_the_model_type_is_not_guessed_from_the_name_of_a_folder(tmp_path):
    """transformers would take "prompts" for an MPT."""
    (tmp_path / "prompts").mkdir()
    with pytest.raises(ValueError, match=r"no config\.json"):
        read_files(str(tmp_path / "prompts"))


@pytest.mark.parametrize("reason", ["We couldn't connect.", "We couldn't connect"])
def test_the_error_for_a_name_on_the_hub_has_the_first_line_of_the_cause(monkeypatch, reason):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(f"{reason}\nand more")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", fail)
    with pytest.raises(ValueError, match=r"'someone/some-bert': We couldn't connect\. Use"):
        read_files("someone/some-bert")


def test_config_tokenizer_and_weights_are_loaded_from_the_revision(tmp_path, monkeypatch):
    nlp = pipeline(write_bert(tmp_path / "bert"), revision="v1.0")
    revisions = {}
    for kind in FILES:
        load = getattr(transformers, kind).from_pretrained

        def recording(name, *, kind=kind, load=load, revision="main", **settings):
            revisions.setdefault(kind, revision)  # transformers loads the config again
            return load(name, **settings)

        monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", recording)
    train(nlp, steps=0)
    assert revisions == dict.fromkeys(FILES, "v1.0")


SAVED = Path(__file__).parent / "bert_saved_by_transformers_4"


def test_an_encoder_saved_by_transformers_4_has_the_same_pieces_and_vectors():
    featurizer = TransformerFeaturizer("unused", context=True, max_length=64)
    featurizer.state = json.loads((SAVED / "state.json").read_text())
    doc = make_doc(spacy.blank("en"), WORDS)
    doc._.image_text = "a dog"
    features = featurizer(PostBatch.from_docs([doc]))
    embedding = build_transformer_embedding(
        **featurizer.dims(), width=None, dropout=0.0, freeze=True
    )
    arrays = load_file(SAVED / "encoder.safetensors")
    pieces, vectors = arrays.pop("pieces"), arrays.pop("vectors")
    embedding.encoder.load_state_dict(arrays)
    inputs = {name: torch.as_tensor(array) for name, array in features.items()}
    assert torch.equal(inputs["pieces"], pieces)
    found = embedding.eval()(inputs, torch.tensor([len(WORDS)])).vectors
    torch.testing.assert_close(found, vectors, atol=1e-5, rtol=0)
