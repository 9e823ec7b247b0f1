"""Adds new entity labels to a trained component before training resumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.language import Language
from spacy.util import logger, registry, resolve_dot_names

from ..models.allowed_tags import labels_of
from ..pipeline.short_training import warn_of_short_training


def build_extend_labels(component: str = "multimodal_ner") -> Callable[[Language], Language]:
    """For `[initialize.before_init]`: add the labels of the training corpus to a component.

    `spacy train` never initializes a sourced component, so that it does not see new labels. This
    callback reads the corpus of `training.train_corpus` once and calls `add_label` for each label
    that the component does not have. The corpus must be finite.

    component: name of the component in the pipeline.
    """

    def extend_labels(nlp: Language) -> Language:
        config = nlp.config.interpolate()
        training: Any = registry.resolve({"training": config["training"]})["training"]
        [corpus] = resolve_dot_names(config, [training["train_corpus"]])
        pipe: Any = nlp.get_pipe(component)
        with nlp.select_pipes(disable=component):  # the reader would warn of the new labels
            labels = labels_of(example.reference for example in corpus(nlp))
            # Initialization would warn.
            warn_of_short_training(config["training"], lambda: corpus(nlp))
        known = ", ".join(pipe.labels)
        if added := [label for label in sorted(labels) if pipe.add_label(label)]:
            logger.info("New labels: %s. Known: %s.", ", ".join(added), known)
        return nlp

    return extend_labels
