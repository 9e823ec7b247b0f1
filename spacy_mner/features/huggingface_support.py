"""Checks whether a Hugging Face model is usable as the text encoder."""

from __future__ import annotations

import inspect
from typing import Any

# Bidirectional, although the library lists them only among the causal language models.
BIDIRECTIONAL = {"xlnet", "bert-generation"}
# Model types whose first position index is `pad_token_id + 1`.
POSITIONS_AFTER_PADDING = {
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert"),
    *("mpnet", "longformer", "ibert", "data2vec-text"),
}


def unsupported_reason(config: Any, library: Any) -> str | None:
    """Return the reason why a model of this config cannot encode posts, or None if it can.

    library: the package `transformers`.
    """
    if type(config) not in library.MODEL_MAPPING:
        return f"transformers has no encoder of the type {config.model_type!r}"
    arguments = _forward_arguments(library.MODEL_MAPPING[type(config)])
    if config.is_encoder_decoder or "decoder_input_ids" in arguments:
        return "it is an encoder-decoder"
    if "input_ids" not in arguments:
        return "it has no text input"
    if "attention_mask" not in arguments:
        return "it takes no attention_mask, so that padding would change its output"
    if _is_causal(config, library):
        return "it is a causal decoder, whose tokens attend only to earlier ones"
    if not isinstance(getattr(config, "hidden_size", None), int):
        return "its config.json lacks the width of its vectors (hidden_size)"
    if config.model_type in POSITIONS_AFTER_PADDING and config.pad_token_id is None:
        return "its config.json lacks pad_token_id, which its position embeddings depend on"
    return None


def _forward_arguments(model: Any) -> set[str]:
    model = model[0] if isinstance(model, tuple) else model  # the default class of the config
    return set(inspect.signature(model.forward).parameters)


def _is_causal(config: Any, library: Any) -> bool:
    # The switches of BERT (is_decoder), XLM (causal) and XLNet (attn_type).
    is_switched = getattr(config, "attn_type", "bi") == "uni" or getattr(config, "causal", False)
    if is_switched or getattr(config, "is_decoder", False):
        return True
    is_causal_lm = type(config) in library.MODEL_FOR_CAUSAL_LM_MAPPING
    is_masked_lm = type(config) in library.MODEL_FOR_MASKED_LM_MAPPING
    return is_causal_lm and not is_masked_lm and config.model_type not in BIDIRECTIONAL
