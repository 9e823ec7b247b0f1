"""Error messages for training that diverges: the posts, what is not finite, and the remedy."""

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
from ..utils.text import first_items, pluralize, remaining_items, short_repr
from .shim import TorchShim
from .tagger import TaggerOutput

REMEDY = "Lower training.optimizer.learn_rate, or set its grad_clip."


def loss_error(
    name: str, step: int, posts: Sequence[Doc], output: TaggerOutput, model: Model
) -> ValueError:
    """The error for a loss that is not finite.

    step: updates of the weights before this one, as spaCy counts steps.
    posts, output: of the batch.
    """
    return ValueError(
        f"{Errors.E910.format(name=name)} Step {step}, {_list_posts(posts)}. "
        f"{_cause(posts, output, model)}"
    )


def gradient_error(
    name: str, step: int, posts: Sequence[Doc], parameters: Sequence[str]
) -> ValueError:
    """The error for a gradient that is not finite, before an update of the weights.

    parameters: names of the parameters with such a gradient.
    """
    return ValueError(
        f"The gradient of {name!r} is not finite. Step {step}, {_list_posts(posts)}. "
        f"Parameters: {_some(parameters)}. The weights were not updated. "
        f"{REMEDY}"
    )


def nonfinite_parameters(model: Any) -> list[str]:
    """Names of the parameters of our networks in a Thinc model that are not finite."""
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
        return f"The weights {_some(weights)} are not finite since an earlier step. {REMEDY}"
    if not (nonfinite := _nonfinite_posts(posts, output)):
        return f"Weights and emissions are finite, but their sum overflows. {REMEDY}"
    words = [token.text for doc in nonfinite for token in doc if _has_nonfinite_vector(token)]
    if words:
        return (
            f"The word vectors of {_some([repr(word) for word in dict.fromkeys(words)])} are not "
            "finite. Correct the vectors in `nlp.vocab.vectors`."
        )
    return (
        f"The weights are finite, but the emissions are not: {_list_posts(nonfinite)}. Check the "
        f"attributes of these posts, such as very large image_features. {REMEDY}"
    )


def _nonfinite_posts(posts: Sequence[Doc], output: TaggerOutput) -> list[Doc]:
    finite = torch.isfinite(output.potentials.emissions).all(dim=1).cpu()
    ends = np.cumsum([0, *output.lengths.tolist()])
    spans = pairwise(ends)
    return [
        doc for doc, (start, end) in zip(posts, spans, strict=True) if not finite[start:end].all()
    ]


def _has_nonfinite_vector(token: Token) -> bool:
    # A word without a vector of its own has that of its lower case.
    vectors: Iterator[Any] = (token.vocab.get_vector(form) for form in (token.orth, token.lower))
    return not all(np.isfinite(vector).all() for vector in vectors)


def _list_posts(posts: Sequence[Doc]) -> str:
    return f"{pluralize(len(posts), 'post')}: {_some([_name(doc) for doc in posts])}"


def _name(doc: Doc) -> str:
    text, post_id = short_repr(doc.text.strip()), doc.user_data.get(POST_ID)
    return text if post_id is None else f"{post_id} ({text})"


def _some(names: Sequence[str]) -> str:
    return ", ".join(filter(None, (*first_items(names), remaining_items(names))))
