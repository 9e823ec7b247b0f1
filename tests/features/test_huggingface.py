"""Any text encoder of Hugging Face serves, or is refused in words that name the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy

from spacy_mner.features.huggingface import UNLIMITED, from_pretrained, read_files

from ..conftest import make_doc
from ..encoders import write_bert, write_model
from ..pipeline.test_transformer import entities, network, pipeline, train

transformers = pytest.importorskip("transformers")
WORDS = ["hi", "Bob", "Dylan", "ram"]


def xlnet(n_pieces: int, **settings: Any) -> Any:
    sizes = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24}
    config = transformers.XLNetConfig(vocab_size=n_pieces, **sizes, **settings)
    return transformers.XLNetModel(config)


def gpt2(n_pieces: int) -> Any:
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    return transformers.GPT2Model(transformers.GPT2Config(vocab_size=n_pieces, **sizes))


SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}


def llama(n_pieces: int) -> Any:
    return transformers.LlamaModel(transformers.LlamaConfig(vocab_size=n_pieces, **SIZES))


def fnet(n_pieces: int) -> Any:
    return transformers.FNetModel(transformers.FNetConfig(vocab_size=n_pieces, **SIZES))


def roberta_without_padding(n_pieces: int) -> Any:
    settings: dict[str, Any] = {"vocab_size": n_pieces, "pad_token_id": None}
    return transformers.RobertaModel(transformers.RobertaConfig(**settings, **SIZES))


def vit(n_pieces: int) -> Any:
    return transformers.ViTModel(transformers.ViTConfig(image_size=16, **SIZES))


def bert_as_decoder(n_pieces: int) -> Any:
    config = transformers.BertConfig(vocab_size=n_pieces, is_decoder=True, **SIZES)
    return transformers.BertModel(config)


def t5_encoder(n_pieces: int) -> Any:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2}
    return transformers.T5EncoderModel(transformers.T5Config(vocab_size=n_pieces, **sizes))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (gpt2, "a token sees only what stands before it"),
        (llama, "a token sees only what stands before it"),
        (bert_as_decoder, "a token sees only what stands before it"),
        (lambda n: xlnet(n, attn_type="uni"), "a token sees only what stands before it"),
        (fnet, "takes no attention_mask"),
        (t5_encoder, "an encoder with a decoder"),
        (vit, "reads no text"),
        (roberta_without_padding, "names no pad_token_id"),
    ],
    ids=["gpt2", "llama", "bert as decoder", "xlnet one way", "fnet", "t5", "vit", "roberta"],
)
def test_what_cannot_encode_posts_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[int], Any], reason: str
):
    folder = write_model(tmp_path / "encoder", make)
    with pytest.raises(ValueError, match=rf"cannot serve .*{reason}.*such as a BERT"):
        read_files(str(folder))


def bros(n_pieces: int) -> Any:
    return transformers.BrosModel(transformers.BrosConfig(vocab_size=n_pieces, **SIZES))


def reformer(n_pieces: int) -> Any:
    sizes = {"hidden_size": 16, "attention_head_size": 8, "num_attention_heads": 2}
    config = transformers.ReformerConfig(
        vocab_size=n_pieces,
        attn_layers=["local"],
        axial_pos_embds=False,
        feed_forward_size=24,
        **sizes,
    )
    return transformers.ReformerModel(config)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bros, r"cannot read word pieces alone \(.*bbox\)"),
        (reformer, "its vectors have the width 32, not 16"),
    ],
)
def test_a_model_that_turns_out_not_to_encode_pieces_is_refused_before_training(
    tmp_path: Path, make: Callable[[int], Any], reason: str
):
    nlp = pipeline(write_model(tmp_path / "encoder", make))
    with pytest.raises(ValueError, match=rf"cannot serve .*{reason}.*such as a BERT"):
        train(nlp, steps=0)


def test_a_model_of_text_and_images_is_refused(tmp_path):
    config = transformers.CLIPConfig()
    folder = write_bert(tmp_path / "clip")
    config.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"how wide its vectors are \(hidden_size\)"):
        read_files(str(folder))


def test_an_xlnet_serves_and_reads_a_post_of_any_length(tmp_path):
    """Its positions are relative: max_position_embeddings is -1."""
    folder = write_model(tmp_path / "xlnet", xlnet)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "model_max_length": 1e30})
    )
    assert read_files(str(folder)).longest == UNLIMITED
    nlp = train(pipeline(folder, max_length=100, context=True), steps=60)
    assert [e[:2] for e in entities(nlp, WORDS)] == [("Bob Dylan", "PER")]
    nlp.to_disk(tmp_path / "model")
    assert entities(spacy.load(tmp_path / "model"), WORDS) == entities(nlp, WORDS)


def test_beside_longer_posts_an_xlnet_says_the_same_of_a_post(tmp_path):
    nlp = train(pipeline(write_model(tmp_path / "xlnet", xlnet)), steps=0)
    seen: list[np.ndarray] = []
    network(nlp).embed["text"].register_forward_hook(
        lambda *call: seen.append(call[-1].vectors.numpy()[: len(WORDS)])
    )
    model = nlp.get_pipe("multimodal_ner").model
    model.predict([make_doc(nlp, WORDS)])
    model.predict([make_doc(nlp, WORDS), make_doc(nlp, ["hi"] * 50)])
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-5)


@pytest.mark.parametrize("positions", [None, -1, 64])
def test_positions_without_an_end_leave_the_limit_to_the_tokenizer(tmp_path, positions):
    folder = write_bert(tmp_path / "bert", longest=50)
    config = json.loads((folder / "config.json").read_text())
    config |= {"max_position_embeddings": positions, "pad_token_id": None}
    (folder / "config.json").write_text(json.dumps(config))
    assert read_files(str(folder)).longest == 50


def test_a_tokenizer_without_a_piece_for_the_unknown_is_refused(tmp_path):
    folder = write_bert(tmp_path / "bert")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    (folder / "special_tokens_map.json").unlink()
    with pytest.raises(ValueError, match="no piece for what it does not know"):
        read_files(str(folder))


def without(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).unlink()
    return folder


def torn(folder: Path, name: str) -> Path:
    (folder / name).write_text("{torn")
    return folder


TOKENIZER = ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")


@pytest.mark.parametrize(
    ("damage", "kind", "reason"),
    [
        (lambda f: without(f, "config.json"), "AutoConfig", "the folder has no config.json"),
        (lambda f: without(f, "config.json"), "AutoModel", "the folder has no config.json"),
        (lambda f: torn(f, "config.json"), "AutoConfig", "its config.json cannot be read"),
        (lambda f: without(f, *TOKENIZER), "AutoTokenizer", "its tokenizer.json cannot be read"),
        (lambda f: torn(f, "tokenizer.json"), "AutoTokenizer", "its tokenizer.json cannot be read"),
        (
            lambda f: without(f, "model.safetensors"),
            "AutoModel",
            "its model.safetensors cannot be read",
        ),
        (
            lambda f: torn(f, "model.safetensors"),
            "AutoModel",
            "its model.safetensors cannot be read",
        ),
        (lambda f: f / "gone", "AutoConfig", "there is no such folder"),
        (lambda f: f / "config.json", "AutoConfig", "there is no such folder"),
    ],
)
def test_a_folder_that_holds_no_encoder_is_named_with_what_it_lacks(
    tmp_path: Path, damage: Callable[[Path], Path], kind: str, reason: str
):
    folder = damage(write_bert(tmp_path / "bert"))
    with pytest.raises(ValueError) as caught:
        from_pretrained(kind, str(folder))
    message = str(caught.value)
    assert message.startswith(f"No text encoder can be had from {str(folder)!r}: {reason}")
    assert message.endswith(
        ". Give a folder that holds one (config.json, tokenizer.json, model.safetensors)."
    )
    assert "huggingface.co" not in message
    assert len(message) < 600


def test_an_empty_folder_is_no_model_that_its_name_brings_to_mind(tmp_path):
    """The library would take "prompts" for an MPT."""
    (tmp_path / "prompts").mkdir()
    with pytest.raises(ValueError, match=r"the folder has no config\.json\. Give a folder"):
        read_files(str(tmp_path / "prompts"))


@pytest.mark.parametrize("reason", ["We couldn't connect.", "We couldn't connect"])
def test_a_name_on_the_hub_is_answered_in_whole_sentences(monkeypatch, reason):
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(f"{reason}\nand more")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(ValueError) as caught:
        read_files("someone/some-bert")
    assert str(caught.value) == (
        "No text encoder can be had from 'someone/some-bert': We couldn't connect. Give a folder "
        "that holds one (config.json, tokenizer.json, model.safetensors), or the name of a model "
        "on huggingface.co."
    )
