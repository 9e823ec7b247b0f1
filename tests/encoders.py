"""Tiny text encoders with random weights, in the files of Hugging Face."""

from __future__ import annotations

import json
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
    """An uncased BERT whose vocabulary is `WORDS`, letters and digits."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    pieces = dict.fromkeys([*SPECIAL, *WORDS, *LETTERS, *(f"##{c}" for c in LETTERS), ":", "/"])
    tokenizer = BertWordPieceTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    _write_tokenizer(folder, tokenizer, "BertTokenizer", longest, names)
    sizes = {"vocab_size": len(pieces), "max_position_embeddings": longest}
    torch.manual_seed(0)
    BertModel(BertConfig(**{**SIZES, **sizes, **config})).save_pretrained(folder)
    return folder


def write_model(folder: Path, make: Callable[[int], Any]) -> Path:
    """Any model, made for a vocabulary size, with the tokenizer of `write_bert`."""
    from transformers import AutoConfig

    n_pieces = AutoConfig.from_pretrained(write_bert(folder)).vocab_size
    torch.manual_seed(0)
    make(n_pieces).save_pretrained(folder)
    return folder


def write_roberta(folder: Path, longest: int | None = 64) -> Path:
    """A RoBERTa: byte-level pieces, one token type, positions that start after the padding's.

    longest: of its tokenizer; it has positions for 64 pieces.
    """
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import RobertaConfig, RobertaModel

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3, 320, special_tokens=special)
    tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = dict(zip(("cls", "pad", "sep", "unk", "mask"), special, strict=True))
    _write_tokenizer(
        folder, tokenizer, "RobertaTokenizer", longest, {**names, "bos": "<s>", "eos": "</s>"}
    )
    sizes = {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 66}
    torch.manual_seed(0)
    RobertaModel(RobertaConfig(**SIZES, **sizes, type_vocab_size=1)).save_pretrained(folder)
    return folder


def _write_tokenizer(
    folder: Path, tokenizer: Any, kind: str, longest: int | None, names: dict[str, str]
) -> None:
    """Write files by hand, as the constructors of transformers 4 and 5 differ."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.save_model(str(folder))
    config = {f"{name}_token": piece for name, piece in names.items()}
    if longest is not None:
        config["model_max_length"] = longest
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": kind}))


VISION = {**SIZES, "image_size": 32, "patch_size": 8}
# Kind of vision model to its config in transformers, and the processor that its authors use.
VISION_MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "clip": ("CLIPVisionConfig", VISION, "CLIPImageProcessor"),
    "siglip": ("SiglipVisionConfig", VISION, "SiglipImageProcessor"),
    "dinov2": ("Dinov2Config", VISION, "BitImageProcessor"),
    "dinov2_registers": ("Dinov2WithRegistersConfig", VISION, "BitImageProcessor"),
    "vit": ("ViTConfig", VISION, "ViTImageProcessor"),
    "deit": ("DeiTConfig", VISION, "DeiTImageProcessor"),
    "resnet": (
        "ResNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        "ConvNextImageProcessor",
    ),
    "convnext": (
        "ConvNextConfig",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
        "ConvNextImageProcessor",
    ),
}


def write_vision(folder: Path, kind: str, seed: int = 0, **processing: Any) -> Path:
    """A vision model with random weights whose input is 32 x 32; of CLIP and SigLIP, both towers.

    processing: settings of its preprocessing.
    """
    import transformers

    config_name, sizes, processor_name = VISION_MODELS[kind]
    config = getattr(transformers, config_name)(**sizes)
    name = config_name.removesuffix("VisionConfig").removesuffix("Config")
    if name in ("CLIP", "Siglip"):
        text = {**SIZES, "vocab_size": 20, "bos_token_id": 1, "eos_token_id": 2}
        both = getattr(transformers, f"{name}Config")
        config = both(text_config=text, vision_config=config.to_dict(), projection_dim=12)
    torch.manual_seed(seed)
    model = getattr(transformers, f"{name}Model")(config)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and scales are constant when initialized
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    square = {"height": 32, "width": 32}
    by_edge = processor_name.startswith(("CLIP", "Bit", "ConvNext"))
    settings: dict[str, Any] = {"size": {"shortest_edge": 32} if by_edge else square}
    # Without a crop, unless the test wants one.
    settings |= {"crop_pct": 1.0} if "ConvNext" in processor_name else {"crop_size": square}
    getattr(transformers, processor_name)(**{**settings, **processing}).save_pretrained(folder)
    return folder
