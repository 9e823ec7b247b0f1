"""Text encoders of Hugging Face: what a name or a folder gives to a model.

A name is looked up when a model is initialized. What was found travels with the model: nothing is
looked up, downloaded or read from that folder when the model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .huggingface_support import POSITIONS_BEHIND_PADDING, unsupported_reason

# Stands for "any number" where neither the tokenizer nor the encoder names a limit.
UNLIMITED = 1_000_000

# What the classes of transformers read, by the name of its usual file.
PARTS = {
    "AutoConfig": "config.json",
    "AutoTokenizer": "tokenizer.json",
    "AutoModel": "model.safetensors",
}
# Characters; a longer reason of the library lists what it knows rather than what is wrong.
LONGEST_REASON = 240


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
    if reason := unsupported_reason(found, transformers()):
        raise unsupported_encoder_error(name, reason)
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
    if unknown is None:
        raise ValueError(
            f"The tokenizer of {name!r} has no piece for what it does not know (unk_token or "
            "mask_token): name an encoder whose tokenizer has one."
        )
    longest = min(tokenizer.model_max_length, _positions(found), UNLIMITED)
    return EncoderFiles(rules.to_str(), unknown, longest, found.to_diff_dict())


def unsupported_encoder_error(name: str, reason: str) -> ValueError:
    """To be raised for a model that cannot encode posts."""
    return ValueError(
        f"{name!r} cannot serve as the text encoder: {reason}. Name an encoder that reads a text "
        "as a whole, such as a BERT."
    )


def _positions(config: Any) -> int:
    """How many positions an encoder has for pieces."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 0:  # positions that are relative have no end
        return UNLIMITED
    is_behind = config.model_type in POSITIONS_BEHIND_PADDING
    return positions - (config.pad_token_id + 1 if is_behind else 0)


def from_pretrained(kind: str, name: str, **settings: Any) -> Any:
    """`transformers.<kind>.from_pretrained`; raises ValueError where there is no such thing.

    kind: a key of `PARTS`.
    """
    load = getattr(transformers(), kind).from_pretrained
    is_local = _is_local(name)
    if is_local:
        _check_folder(name)
    try:
        return load(name, **settings)
    # What is torn or missing shows as errors of all kinds, a bare Exception among them.
    except Exception as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        if is_local:
            # The library's reasons speak of its hub, or of all it has tried.
            is_telling = "huggingface.co" not in reason and len(reason) < LONGEST_REASON
            reason = f"its {PARTS[kind]} cannot be read{f' ({reason})' if is_telling else ''}"
        raise _unavailable(name, reason) from error


def _is_local(name: str) -> bool:
    """Whether a name can only be that of a folder: a name on the hub has one slash at most."""
    path = Path(name)
    return path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1


def _check_folder(name: str) -> None:
    if not Path(name).is_dir():
        raise _unavailable(name, "there is no such folder")
    # Without one, the library guesses the kind of model from the folder's name.
    if not (Path(name) / "config.json").is_file():
        raise _unavailable(name, "the folder has no config.json")


def _unavailable(name: str, reason: str) -> ValueError:
    hub = "" if _is_local(name) else ", or the name of a model on huggingface.co"
    return ValueError(
        f"No text encoder can be had from {name!r}: {reason}. Give a folder that holds one "
        f"({', '.join(PARTS.values())}){hub}."
    )


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
