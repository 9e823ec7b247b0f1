"""Tiny text encoders in folders, as Hugging Face saves them: random weights, real file formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["my", "hi", "bob", "dylan", "jaguar", "puma", "lynx", "ram", "viper", "a", "dog", "!"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def write_bert(folder: Path, longest: int = 64, **config: float) -> Path:
    """An uncased BERT that knows a few words, and spells others letter by letter."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pieces = dict.fromkeys([*SPECIAL, *WORDS, *LETTERS, *(f"##{c}" for c in LETTERS), ":", "/"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    tokenizer = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=longest)
    sizes = {"vocab_size": len(pieces), "max_position_embeddings": longest}
    settings = {**SIZES, **sizes, **config}
    torch.manual_seed(0)
    BertModel(BertConfig(**settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_model(folder: Path, make: Callable[[int], Any]) -> Path:
    """A model of any kind, of so many pieces, with the tokenizer of that BERT."""
    from transformers import AutoConfig

    n_pieces = AutoConfig.from_pretrained(write_bert(folder)).vocab_size
    torch.manual_seed(0)
    make(n_pieces).save_pretrained(folder)
    return folder


def write_roberta(folder: Path, longest: int | None = 64) -> Path:
    """A RoBERTa: pieces of bytes, one type of text, positions that begin behind the padding's.

    longest: as its tokenizer has it; it has positions for 64 pieces.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bytes_to_pieces = ByteLevelBPETokenizer()
    bytes_to_pieces.train_from_iterator([" ".join(WORDS)] * 3, 320, special_tokens=special)
    folder.mkdir(parents=True, exist_ok=True)
    vocab, merges = bytes_to_pieces.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(vocab_file=vocab, merges_file=merges, model_max_length=longest)
    config = RobertaConfig(
        **SIZES, vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1
    )
    torch.manual_seed(0)
    RobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
