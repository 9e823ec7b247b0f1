"""Configs that train the component of an existing pipeline further."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from spacy.language import Language
from thinc.api import Config

from ..errors import UsageError
from ..pipeline.load_for_command import load_pipeline

FACTORY = "multimodal_ner"
TRANSFORMERS = ("transformer", "curated_transformer")

# What differs from the training of a template, which starts from scratch. Steps suit corpora of
# any size; the training stops when dev does not improve.
CHANGES = {
    "base": {
        "learn_rate = 0.002": "learn_rate = 0.0005",
        "max_epochs = 30": "max_epochs = 0",
        "max_steps = 0": "max_steps = 2000",
        "patience = 0": "patience = 800",
    },
    "trf": {
        "initial_rate = 1e-3": "initial_rate = 3e-4",
        "initial_rate = 1e-4": "initial_rate = 5e-5",
        "eval_frequency = 200": "eval_frequency = 100",
        "patience = 0": "patience = 800",
    },
}

HEAD = """# Trains the pipeline {source} further.
# Written by `spacy-mner init --from {source}`; train with `spacy train`.

[paths]
train = null
dev = null
# Folder for relative image paths in the corpus; null: the working directory.
images_root = null

[system]
seed = 0
gpu_allocator = null

"""


INITIALIZE = """[initialize]
vectors = {vectors}
init_tok2vec = null
vocab_data = null
lookups = null

# Adds the labels of the training corpus that the component does not have.
[initialize.before_init]
@callbacks = "spacy_mner.ExtendLabels.v1"
component = {component}

# Copies the rules of the tokenizer.
[initialize.after_init]
@callbacks = "spacy.copy_from_base_model.v1"
tokenizer = {source}
vocab = null

[initialize.components]

"""


def config_from_pipeline(source: str) -> str:
    """Return a config that trains the `multimodal_ner` of a pipeline further, with new labels.

    source: name of an installed pipeline, or its folder.

    All components are taken from the pipeline. Those that `multimodal_ner` listens to are trained
    with it, the others are frozen; those in front of it annotate the posts.

    Raises LoadingError for what is no pipeline, and UsageError for one without exactly one
    `multimodal_ner`, and for one that was optimized.
    """
    nlp = load_pipeline(source)
    name = component_of(nlp, source)
    component: Any = nlp.get_pipe(name)
    component.model.attrs["featurizers"].check_trainable(is_trained=True)
    listened = [
        other for other, pipe in nlp.components if name in getattr(pipe, "listening_components", [])
    ]
    frozen = [other for other in nlp.component_names if other not in (name, *listened)]
    in_front = nlp.component_names[: nlp.component_names.index(name)]
    uses_transformer = has_pretrained_encoder(component) or any(
        nlp.get_pipe_meta(other).factory in TRANSFORMERS for other in listened
    )
    training = training_of("trf" if uses_transformer else "base")
    for key, names in {
        "frozen_components": frozen,
        "annotating_components": [other for other in in_front if other in frozen],
    }.items():
        training = training.replace(f"{key} = []", f"{key} = {to_value(names)}")
    components = {other: {"source": source} for other in nlp.component_names}
    config = nlp.config.interpolate()
    initialize = INITIALIZE.format(
        vectors=to_value(source if nlp.vocab.vectors.size else None),
        component=to_value(name),
        source=to_value(source),
    )
    tokenizer = to_text("initialize", {"tokenizer": config["initialize"]["tokenizer"]})
    parts = [
        HEAD.format(source=source),
        to_text("nlp", config["nlp"]),
        to_text("components", components),
        training,
        initialize,
        tokenizer.partition("\n\n")[2],
    ]
    return "".join(parts).rstrip() + "\n"


def component_of(nlp: Language, source: str) -> str:
    """Return the name of the only `multimodal_ner`. Raises UsageError for none and several."""
    names = [name for name, factory in nlp.pipe_factories.items() if factory == FACTORY]
    if len(names) != 1:
        found = f"several ({', '.join(names)})" if names else "none"
        raise UsageError(
            f"--from {source}: expected a pipeline with one component {FACTORY}, found {found}; "
            f"its components are {', '.join(nlp.component_names) or 'none'}. Name another "
            "pipeline, or train from scratch, without --from."
        )
    return names[0]


def has_pretrained_encoder(component: Any) -> bool:
    """Whether the network of a `multimodal_ner` contains a transformer that is trained."""
    network = component.model.shims[0].network
    return any(group["is_pretrained"] for group in network.parameter_groups())


def training_of(template: str) -> str:
    """Return the sections from `corpora` to `pretraining` of a template, with its changes."""
    text = (files("spacy_mner") / "templates" / f"{template}.cfg").read_text(encoding="utf-8")
    text = text[text.index("[corpora]\n") : text.index("[initialize]\n")]
    for old, new in CHANGES[template].items():
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    return text


def to_text(section: str, value: dict[str, Any]) -> str:
    """Return a section as configs have it."""
    return Config({section: value}).to_str() + "\n\n"


def to_value(value: Any) -> str:
    """Return a value as configs have it."""
    return Config({"section": {"key": value}}).to_str().partition(" = ")[2]
