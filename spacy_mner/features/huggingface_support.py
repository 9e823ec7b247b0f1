"""Which models of Hugging Face serve as text encoders, and why others do not."""

from __future__ import annotations

import inspect
from typing import Any

# They see both ways, although the library lists them only among the models that write text.
BIDIRECTIONAL = {"xlnet", "bert-generation"}
# Kinds of encoders whose first position is the one behind that of the padding.
POSITIONS_BEHIND_PADDING = {
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert"),
    *("mpnet", "longformer", "ibert", "data2vec-text"),
}


def unsupported_reason(config: Any, library: Any) -> str | None:
    """Why a model of this config cannot encode posts, in words; None where it can.

    library: the package transformers.
    """
    if type(config) not in library.MODEL_MAPPING:
        return f"transformers has no encoder of the kind {config.model_type!r}"
    takes = _arguments(library.MODEL_MAPPING[type(config)])
    if config.is_encoder_decoder or "decoder_input_ids" in takes:
        return "it is an encoder with a decoder"
    if "input_ids" not in takes:
        return "it reads no text"
    if "attention_mask" not in takes:
        return (
            "it takes no attention_mask, so that what it says of a post would depend on how long "
            "the posts beside it are"
        )
    if _sees_one_way(config, library):
        return "it is a decoder, where a token sees only what stands before it"
    if not isinstance(getattr(config, "hidden_size", None), int):
        return "its config.json does not tell how wide its vectors are (hidden_size)"
    if config.model_type in POSITIONS_BEHIND_PADDING and config.pad_token_id is None:
        return "its config.json names no pad_token_id, behind which its positions begin"
    return None


def _arguments(model: Any) -> set[str]:
    """What the model (the usual one, where a config has several) is called with."""
    model = model[0] if isinstance(model, tuple) else model
    return set(inspect.signature(model.forward).parameters)


def _sees_one_way(config: Any, library: Any) -> bool:
    # By is_decoder a BERT is made a decoder, by `causal` an XLM, by attn_type an XLNet.
    is_switched = getattr(config, "attn_type", "bi") == "uni" or getattr(config, "causal", False)
    if is_switched or getattr(config, "is_decoder", False):
        return True
    writes = type(config) in library.MODEL_FOR_CAUSAL_LM_MAPPING
    fills_in = type(config) in library.MODEL_FOR_MASKED_LM_MAPPING
    return writes and not fills_in and config.model_type not in BIDIRECTIONAL
