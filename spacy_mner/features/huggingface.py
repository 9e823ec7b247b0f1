"""Config and tokenizer of a text encoder of Hugging Face.

Resolved only when a model is initialized: a saved pipeline holds everything it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..utils.hub_model import HubModel, import_library
from .huggingface_support import POSITIONS_AFTER_PADDING, unsupported_reason

# Maximum length where neither the tokenizer nor the encoder has one.
UNLIMITED = 1_000_000

# File that each class of transformers loads.
FILES = {
    "AutoConfig": "config.json",
    "AutoTokenizer": "tokenizer.json",
    "AutoModel": "model.safetensors",
}
# Where the tokenizer's files are missing, transformers 5 returns one of special pieces alone.
MIN_PIECES = 16


@dataclass(frozen=True)
class EncoderFiles:
    """Tokenizer and config of an encoder, as JSON-serializable types.

    tokenizer: the fast tokenizer's tokenizer.json.
    unknown: id of the piece for text that the tokenizer cannot represent.
    longest: maximum length of an input in pieces, special ones included.
    config: the encoder's config.json.
    """

    tokenizer: str
    unknown: int
    longest: int
    config: dict[str, Any]


def text_encoder(name: str, revision: str | None = None) -> HubModel:
    """A model on the hub or in a folder as a text encoder."""
    return HubModel(name, revision, "text encoder", FILES)


def read_files(name: str, revision: str | None = None) -> EncoderFiles:
    """Load the tokenizer and the config of an encoder. name, revision: as in `from_pretrained`.

    Raises ValueError if they cannot be loaded, or are not those of a supported encoder.
    """
    source = text_encoder(name, revision)
    config = source.load("AutoConfig")
    if reason := unsupported_reason(config, import_library("transformers")):
        raise unsupported_encoder_error(name, reason)
    # RoBERTa and its relatives mark the beginning of a word by a space before it.
    tokenizer = source.load("AutoTokenizer", add_prefix_space=True)
    if not tokenizer.is_fast:
        raise ValueError(
            f"{name!r} has no fast tokenizer (tokenizer.json), which aligning tokens with word "
            "pieces needs. Use an encoder that has one."
        )
    if len(tokenizer) < MIN_PIECES:
        raise source.error("its tokenizer.json cannot be read (no vocabulary)")
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    unknown = tokenizer.mask_token_id if tokenizer.unk_token_id is None else tokenizer.unk_token_id
    if unknown is None:
        raise ValueError(
            f"The tokenizer of {name!r} has neither unk_token nor mask_token. Use an encoder "
            "whose tokenizer has one."
        )
    longest = min(tokenizer.model_max_length, _n_positions(config), UNLIMITED)
    settings = config.to_diff_dict()
    settings.pop("_name_or_path", None)  # the local folder, in transformers 4.49
    return EncoderFiles(backend.to_str(), unknown, longest, settings)


def unsupported_encoder_error(name: str, reason: str) -> ValueError:
    """Return the error to raise for a model that cannot encode posts."""
    return ValueError(
        f"{name!r} is not supported as the text encoder: {reason}. Use a bidirectional encoder "
        "such as BERT."
    )


def _n_positions(config: Any) -> int:
    """Maximum number of pieces by the encoder's position embeddings."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 0:  # relative positions are unlimited
        return UNLIMITED
    is_after_padding = config.model_type in POSITIONS_AFTER_PADDING
    return positions - (config.pad_token_id + 1 if is_after_padding else 0)
