"""Text encoders of Hugging Face: what a name or a folder gives to a model.

A name is looked up when a model is initialized. What was found travels with the model: nothing is
looked up, downloaded or read from that folder when the model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

# Stands for "any number" where neither the tokenizer nor the encoder names a limit.
UNLIMITED = 1_000_000

# Kinds of encoders whose first position is the one behind that of the padding.
POSITIONS_BEHIND_PADDING = {
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert"),
    *("mpnet", "longformer", "ibert", "data2vec-text"),
}


@dataclass(frozen=True)
class EncoderFiles:
    """What describes an encoder, apart from its weights; of types that JSON knows.

    tokenizer: the fast tokenizer's tokenizer.json.
    unknown: id of the piece for what the tokenizer has no other piece for.
    longest: most pieces that the encoder reads at once, special ones included.
    config: the encoder's config.json.
    """

    tokenizer: str
    unknown: int
    longest: int
    config: dict[str, Any]


def read_files(name: str) -> EncoderFiles:
    """The tokenizer and the config of an encoder. Raises ValueError where they cannot be had.

    name: of a model on the Hugging Face hub, or a folder.
    """
    found = from_pretrained("AutoConfig", name)
    config = found.to_diff_dict()
    if config.get("is_encoder_decoder"):
        raise ValueError(f"{name!r} is an encoder with a decoder: name one without, such as a BERT")
    # Encoders of the kind of RoBERTa write the beginning of a word as a space before it.
    tokenizer = from_pretrained("AutoTokenizer", name, add_prefix_space=True)
    if not tokenizer.is_fast:
        raise ValueError(
            f"{name!r} has no fast tokenizer (a tokenizer.json), by which tokens are aligned: "
            "name an encoder that has one."
        )
    rules = tokenizer.backend_tokenizer
    rules.no_truncation()
    rules.no_padding()
    unknown = tokenizer.mask_token_id if tokenizer.unk_token_id is None else tokenizer.unk_token_id
    longest = min(tokenizer.model_max_length, _positions(found), UNLIMITED)
    return EncoderFiles(rules.to_str(), unknown, longest, config)


def _positions(config: Any) -> int:
    """How many positions an encoder has for pieces."""
    positions: int = getattr(config, "max_position_embeddings", UNLIMITED)
    is_behind = config.model_type in POSITIONS_BEHIND_PADDING
    return positions - (config.pad_token_id + 1) * is_behind


def from_pretrained(kind: str, name: str, **settings: Any) -> Any:
    """`transformers.<kind>.from_pretrained`; raises ValueError where there is no such thing."""
    try:
        return getattr(transformers(), kind).from_pretrained(name, **settings)
    # OSError: there is no such model; ValueError: there is something else.
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"No text encoder can be had from {name!r}: {reason} Give a folder that holds one, or "
            "the name of a model on huggingface.co."
        ) from error


def transformers() -> Any:
    """The package of this name, which is optional."""
    return _optional("transformers")


def tokenizers() -> Any:
    """The package of this name, which comes with transformers."""
    return _optional("tokenizers")


def _optional(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"A text encoder of Hugging Face needs the package {package}: "
            "pip install 'spacy-mner[transformers]'"
        ) from error
