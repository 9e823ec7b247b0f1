"""What to tell where training diverges: in which posts, what is not finite, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from spacy.errors import Errors
from spacy.tokens import Doc, Token
from thinc.api import Model

from ..extensions import POST_ID
from .shim import TorchShim
from .tagger import TaggerOutput

# Of posts or parameters, and of a post's text, before a message becomes a nuisance.
SHOWN = 5
CHARACTERS = 40

SMALLER_STEPS = "Lower training.optimizer.learn_rate, or set its grad_clip."


def loss_error(
    name: str, step: int, posts: Sequence[Doc], output: TaggerOutput, model: Model
) -> ValueError:
    """The error for a loss that is not finite.

    step: updates of the weights before this one, as spaCy counts steps.
    posts: those of the batch; output: what the model said of them.
    """
    return ValueError(
        f"{Errors.E910.format(name=name)} Step {step}, {_list_posts(posts)}. "
        f"{_cause(posts, output, model)}"
    )


def gradient_error(
    name: str, step: int, posts: Sequence[Doc], parameters: Sequence[str]
) -> ValueError:
    """The error for a gradient that is not finite, found before it reached the weights.

    parameters: names of those whose gradient it is.
    """
    return ValueError(
        f"The gradient of {name!r} is not finite. Step {step}, {_list_posts(posts)}. "
        f"It is that of {_some(parameters)}; the weights are as they were before this batch. "
        f"{SMALLER_STEPS}"
    )


def nonfinite_parameters(model: Any) -> list[str]:
    """Names of the parameters of our networks that are not finite."""
    nodes = model.walk() if isinstance(model, Model) else ()
    return [
        name
        for node in nodes
        for shim in node.shims
        if isinstance(shim, TorchShim) and shim.is_built
        for name, parameter in shim.network.named_parameters()
        if not parameter.isfinite().all()
    ]


def _cause(posts: Sequence[Doc], output: TaggerOutput, model: Model) -> str:
    if weights := nonfinite_parameters(model):
        return f"An earlier step spoiled the weights {_some(weights)}. {SMALLER_STEPS}"
    if not (spoiled := _nonfinite_posts(posts, output)):
        return f"Weights and emissions are finite, but too large to be summed. {SMALLER_STEPS}"
    words = [token.text for doc in spoiled for token in doc if _has_spoiled_vector(token)]
    if words:
        return (
            f"The word vectors of {_some([repr(word) for word in dict.fromkeys(words)])} are not "
            "finite. Mend the table of vectors (`nlp.vocab.vectors`)."
        )
    return (
        f"The weights are finite, but not the emissions of {_list_posts(spoiled)}. Look at what "
        f"these posts bring, such as very large image_features. {SMALLER_STEPS}"
    )


def _nonfinite_posts(posts: Sequence[Doc], output: TaggerOutput) -> list[Doc]:
    finite = torch.isfinite(output.potentials.emissions).all(dim=1).cpu()
    ends = np.cumsum([0, *output.lengths.tolist()])
    spans = pairwise(ends)
    return [
        doc for doc, (start, end) in zip(posts, spans, strict=True) if not finite[start:end].all()
    ]


def _has_spoiled_vector(token: Token) -> bool:
    # A form without a vector of its own has that of its lower case.
    vectors: Iterator[Any] = (token.vocab.get_vector(form) for form in (token.orth, token.lower))
    return not all(np.isfinite(vector).all() for vector in vectors)


def _list_posts(posts: Sequence[Doc]) -> str:
    noun = "post" if len(posts) == 1 else "posts"
    return f"{len(posts)} {noun}: {_some([_name(doc) for doc in posts])}"


def _name(doc: Doc) -> str:
    text = doc.text.strip()
    text = text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
    post_id = doc.user_data.get(POST_ID)
    return repr(text) if post_id is None else f"{post_id} ({text!r})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
