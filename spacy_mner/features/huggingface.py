"""Configs, tokenizers and models of Hugging Face, by name on the hub or by folder.

Resolved only when a model is initialized: a saved pipeline holds everything it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .huggingface_support import POSITIONS_AFTER_PADDING, unsupported_reason

# Maximum length where neither the tokenizer nor the encoder has one.
UNLIMITED = 1_000_000

# File that each class of transformers loads.
FILES = {
    "AutoConfig": "config.json",
    "AutoTokenizer": "tokenizer.json",
    "AutoModel": "model.safetensors",
}
# In characters. Longer messages of the library list supported models rather than the cause.
LONGEST_REASON = 240
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


def read_files(name: str, revision: str | None = None) -> EncoderFiles:
    """Load the tokenizer and the config of an encoder. name, revision: as in `from_pretrained`.

    Raises ValueError if they cannot be loaded, or are not those of a supported encoder.
    """
    config = from_pretrained("AutoConfig", name, revision)
    if reason := unsupported_reason(config, import_library("transformers")):
        raise unsupported_encoder_error(name, reason)
    # RoBERTa and its relatives mark the beginning of a word by a space before it.
    tokenizer = from_pretrained("AutoTokenizer", name, revision, add_prefix_space=True)
    if not tokenizer.is_fast:
        raise ValueError(
            f"{name!r} has no fast tokenizer (tokenizer.json), which aligning tokens with word "
            "pieces needs. Use an encoder that has one."
        )
    if len(tokenizer) < MIN_PIECES:
        raise _unavailable_error(name, "its tokenizer.json cannot be read (no vocabulary)")
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


def from_pretrained(kind: str, name: str, revision: str | None = None, **settings: Any) -> Any:
    """Call `transformers.<kind>.from_pretrained`; raises ValueError if that fails.

    kind: a key of `FILES`.
    name: of a model on the Hugging Face hub, or a folder.
    revision: branch, tag or commit on the hub; None for the default branch.
    """
    load = getattr(import_library("transformers"), kind).from_pretrained
    is_local = _is_local(name)
    if is_local and not Path(name).is_dir():
        raise _unavailable_error(name, "there is no such folder")
    # Without a config.json, the library guesses the model type from the folder's name.
    if is_local and not (Path(name) / "config.json").is_file():
        raise _unavailable_error(name, "the folder has no config.json")
    try:
        return load(name, revision=revision or "main", **settings)
    # The library raises errors of many types for damaged and missing files, even Exception.
    except Exception as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        if is_local:
            # Some messages of the library are about the hub, or list all supported models.
            is_specific = "huggingface.co" not in reason and len(reason) < LONGEST_REASON
            reason = f"its {FILES[kind]} cannot be read{f' ({reason})' if is_specific else ''}"
        raise _unavailable_error(name, reason) from error


def _is_local(name: str) -> bool:
    """Whether a name can only be a folder: a name on the hub has at most one slash."""
    path = Path(name)
    return path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1


def _unavailable_error(name: str, reason: str) -> ValueError:
    hub = "" if _is_local(name) else ", or the name of a model on huggingface.co"
    return ValueError(
        f"Cannot load a text encoder from {name!r}: {reason}. Use a folder with "
        f"{', '.join(FILES.values())}{hub}."
    )


def import_library(package: str) -> Any:
    """Import the optional package transformers, or tokenizers, on which it depends."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"A text encoder of Hugging Face needs the package {package}: "
            "pip install 'spacy-mner[transformers]'"
        ) from error
