"""MultimodalNER: the spaCy contract, and nothing else."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import srsly
import torch
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import minibatch
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer

from ..errors import MissingImagesWarning
from ..extensions import has_image
from ..features.batch import batch_by_padded_size
from ..layers.decode import Potentials
from ..models.annotation import Labeling, allowed_tags, labels_of
from ..models.gradients import drop_gradients, scale_gradients
from ..models.nonfinite import gradient_error, loss_error
from ..models.predictions import label_posts, loss_and_gradients
from ..models.shim import TorchShim
from ..models.tagger import TaggerOutput
from .saving import Part, Saved, read_bytes

# A forked child inherits torch's thread pool without its threads and would wait for them for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

# Padded tokens that the network sees at once when predicting: bounds memory, not results.
PADDED_TOKENS = 8192


@Language.factory(
    "multimodal_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={
        "model": {"@architectures": "spacy_mner.DefaultTagger.v1"},
        "threshold": 0.0,
        "annotate_attention": False,
        "images_root": None,
        "scorer": {"@scorers": "spacy_mner.mner_scorer.v1"},
    },
    default_score_weights={
        "ents_f": 1.0,
        "ents_p": 0.0,
        "ents_r": 0.0,
        "ents_per_type": None,
        "segmentation_f": 0.0,
        "segmentation_p": 0.0,
        "segmentation_r": 0.0,
    },
)
def make_multimodal_ner(
    nlp: Language,
    name: str,
    model: Any,
    threshold: float,
    annotate_attention: bool,
    images_root: str | None,
    scorer: Callable | None,
) -> MultimodalNER:
    """Named entities of posts with images."""
    return MultimodalNER(
        nlp.vocab,
        model,
        name,
        threshold=threshold,
        annotate_attention=annotate_attention,
        images_root=images_root,
        scorer=scorer,
    )


class MultimodalNER(TrainablePipe):
    """Finds the named entities of posts, using `doc._.image`, `doc._.image_features` or
    `doc._.image_objects`.

    Sets `doc.ents` (replacing entities that are there), `span._.score`, `doc._.image_status`
    and, where asked for and told by the fuser, `doc._.modality_attention` and
    `doc._.image_attention`.

    threshold: drop entities whose probability is below it, after decoding.
    annotate_attention: keep the weight of each modality, or of each region, for each token.
    images_root: folder that relative image paths are relative to; the working directory
        where it is None.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "multimodal_ner",
        *,
        threshold: float = 0.0,
        annotate_attention: bool = False,
        images_root: str | Path | None = None,
        scorer: Callable | None = None,
    ):
        self.vocab = vocab
        self.model = model
        self.name = name
        self.cfg: dict[str, Any] = {"labels": []}
        self.threshold = threshold
        self.annotate_attention = annotate_attention
        self.images_root = images_root
        self.scorer = scorer
        self._told_of_lost_images = False
        # Updates of the weights since the training began, and the posts of the next one.
        self._step = 0
        # The posts of every batch since the weights were last updated.
        self._unfinished: list[list[Doc]] = []

    @property
    def threshold(self) -> float:
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"threshold must be between 0 and 1, got {value}")
        self._threshold = value

    @property
    def images_root(self) -> Path | None:
        return self.model.attrs["featurizers"].images_root

    @images_root.setter
    def images_root(self, path: str | Path | None) -> None:
        self.model.attrs["featurizers"].images_root = None if path is None else Path(path)

    # Labels

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> dict[str, Any] | None:
        """The labels and the vocabularies of the featurizers, enough to initialize from."""
        if not self._is_initialized:
            return None
        return {"labels": list(self.labels), "vocabularies": self.model.attrs["featurizers"].state}

    def add_label(self, label: str) -> int:
        """Add an entity type before the component is initialized. 1 if it is new, else 0."""
        if not isinstance(label, str) or not label:
            raise ValueError(f"A label must be a non-empty string, got {label!r}")
        if label in self.labels:
            return 0
        if self._is_initialized:
            raise ValueError(
                f"Cannot add the label {label!r}: the network of {self.name!r} was built for "
                f"{list(self.labels)}. Initialize the component anew with all labels."
            )
        self.cfg["labels"] = sorted([*self.labels, label])
        self.vocab.strings.add(label)
        return 1

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: dict[str, Any] | list[str] | None = None,
        image_cache: str | None = None,
    ) -> None:
        """Set the labels, learn the vocabularies and build a fresh network.

        labels: what `spacy init labels` wrote, or a list of entity types; taken from the
            examples where it is None.
        image_cache: folder in which image features are cached over epochs and restarts of the
            training; null for none. It is not saved: a loaded pipeline writes no files.
        """
        validate_get_examples(get_examples, "MultimodalNER.initialize")
        given = labels if isinstance(labels, dict) else {"labels": labels}
        if "labels" not in given:
            raise ValueError(
                f"The labels of {self.name!r} are a list of entity types, or what "
                f"`spacy init labels` writes; got a mapping of {sorted(given)}."
            )
        names = given["labels"]
        if names is None:
            names = labels_of(example.reference for example in get_examples())
        added = () if self._is_initialized else self.labels
        self.cfg["labels"] = sorted({*names, *added})
        if not self.labels:
            raise ValueError(
                f"{self.name!r} has no entity types to learn: the training posts have no entities. "
                "Annotate some, or name the types by add_label()."
            )
        for label in self.labels:
            self.vocab.strings.add(label)
        self.model.attrs["labels"] = list(self.labels)
        self.model.attrs["featurizers"].initialize(
            (example.predicted for example in get_examples()),
            vocabularies=given.get("vocabularies"),
            image_cache=None if image_cache is None else Path(image_cache),
        )
        sample = [example.predicted for example in islice(get_examples(), 10)]
        self.model.initialize(X=sample)
        self._step, self._unfinished = 0, []

    def update(self, examples: Iterable[Example], **settings: Any) -> dict[str, float]:
        """Learn from a batch of posts; see `TrainablePipe.update`."""
        examples = list(examples)
        n_before = len(self._unfinished)
        if examples:
            self._unfinished.append([example.reference for example in examples])
        try:
            return super().update(examples, **settings)
        except Exception:
            # A batch that failed left no gradient, and is not to count in the mean.
            del self._unfinished[n_before:]
            raise

    def finish_update(self, sgd: Optimizer) -> None:
        """Update the weights with the mean gradient of all posts since the last time.

        A tok2vec that lies in the model is part of it. A component that `model.tok2vec` listens
        to is not: it updates its weights itself, before the number of posts is known here. It
        has the gradients of the batches summed, as from components of spaCy: the mean gradient
        of all posts, times their number by that of the first batch.

        Raises ValueError, with the posts, where a gradient of the network is not finite. The
        gradients are then forgotten and the weights as they were.
        """
        parts, self._unfinished = self._unfinished, []
        posts = list(chain.from_iterable(parts))
        if len(parts) > 1:
            # The mean over all posts: each part counts as its posts do to those of the first.
            scale_gradients(self.model, len(parts[0]) / len(posts))
        if spoiled := cast(TorchShim, self.model.shims[0]).nonfinite_gradients():
            drop_gradients(self.model)
            raise gradient_error(self.name, self._step, posts, spoiled)
        super().finish_update(sgd)
        self._step += 1

    def get_loss(
        self, examples: Iterable[Example], scores: TaggerOutput
    ) -> tuple[float, Potentials]:
        """Negative log-likelihood of the annotation, mean over posts, and its gradients.

        Tokens without annotation are summed over, a post without any costs nothing. With a
        decoder that has an auxiliary head, the head's loss is part of it. Where gradients are
        accumulated, those of a later batch weigh more if it has more posts than the first.
        Raises ValueError (E910), with the posts and the cause, where the loss is not finite.
        """
        examples = list(examples)
        validate_examples(examples, "MultimodalNER.get_loss")
        self._tell_of_lost_images(examples)
        allowed = allowed_tags(examples, self.labels)
        loss, gradients = loss_and_gradients(scores, allowed)
        if not np.isfinite(loss):
            posts = [example.reference for example in examples]
            raise loss_error(self.name, self._step, posts, scores, self.model)
        weight = len(examples) / len(self._unfinished[0]) if self._unfinished else 1.0
        return loss, gradients.with_tensors([part * weight for part in gradients.tensors()])

    def rehearse(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, float]:
        # spaCy's own default does nothing, silently.
        raise ValueError(
            f"{self.name!r} cannot rehearse: to keep what it knows while it learns something new, "
            "mix old posts into the training data."
        )

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        examples = list(examples)
        self._tell_of_lost_images(examples)
        return super().score(examples, **kwargs)

    def _tell_of_lost_images(self, examples: Sequence[Example]) -> None:
        with_image = next((eg for eg in examples if has_image(eg.reference)), None)
        if with_image is None or has_image(with_image.predicted):
            return
        if not self._told_of_lost_images:
            self._told_of_lost_images = True
            warnings.warn(
                "The corpus has images, but its reader drops them before they reach "
                f'{self.name!r}. Use @readers = "spacy_mner.MultimodalCorpus.v1" in [corpora] '
                "(`spacy-mner init` writes such a config), and `spacy-mner evaluate` in place "
                "of `spacy evaluate`.",
                MissingImagesWarning,
                stacklevel=3,
            )

    # Use

    def predict(self, docs: Iterable[Doc]) -> list[Labeling]:
        """Label posts without changing them. The answer does not depend on how they are batched."""
        docs = list(docs)
        if not self._is_initialized:
            raise ValueError(Errors.E109.format(name=self.name))
        self.model.attrs["region_attention"] = self.annotate_attention
        labelings: list[Any] = [None] * len(docs)
        for group in batch_by_padded_size(map(len, docs), PADDED_TOKENS):
            output = self.model.predict([docs[i] for i in group])
            labeled = label_posts(
                output, self.labels, threshold=self.threshold, attention=self.annotate_attention
            )
            for i, labeling in zip(group, labeled, strict=True):
                labelings[i] = labeling
        return labelings

    def set_annotations(self, docs: Iterable[Doc], scores: list[Labeling]) -> None:
        """Write the entities and attributes into the posts."""
        for doc, labeling in zip(docs, scores, strict=True):
            labeling.write_to(doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Label a stream of posts. A post that fails goes to the error handler, alone."""
        error_handler = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
                yield from docs
            except Exception:
                yield from self._one_by_one(docs, error_handler)

    def _one_by_one(self, docs: list[Doc], error_handler: Callable) -> Iterator[Doc]:
        for doc in docs:
            try:
                self.set_annotations([doc], self.predict([doc]))
                yield doc
            except Exception as error:
                error_handler(self.name, self, [doc], error)

    # Saving: the same parts as files and as bytes, none of them executable

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the component into a folder: JSON, msgpack and safetensors, and a manifest."""
        folder = Path(path)
        folder.mkdir(exist_ok=True)
        for name, content in self._saved(exclude).dump():
            (folder / name).write_bytes(content)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> MultimodalNER:
        """Read what `to_disk` wrote. Raises LoadingError for anything else."""
        self._saved(exclude).load(partial(_read, Path(path)), str(path))
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The component as bytes."""
        return srsly.msgpack_dumps(dict(self._saved(exclude).dump()))

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> MultimodalNER:
        """Read what `to_bytes` gave. Raises LoadingError for anything else."""
        contents = read_bytes(bytes_data, self.name)
        self._saved(exclude).load(contents.get, self.name)
        return self

    def _saved(self, exclude: Iterable[str]) -> Saved:
        featurizers, shim = self.model.attrs["featurizers"], self.model.shims[0]
        parts = {
            "cfg": Part(
                lambda: srsly.json_dumps(self.cfg).encode(),
                lambda data: self.cfg.update(srsly.json_loads(data)),
            ),
            "vocab": Part(
                lambda: self.vocab.to_bytes(exclude=exclude),
                lambda data: self.vocab.from_bytes(data, exclude=exclude),
            ),
            "featurizers.msgpack": Part(featurizers.to_bytes, featurizers.from_bytes),
            "network.safetensors": Part(shim.to_bytes, shim.from_bytes),
        }
        for tok2vec in self.model.layers:
            parts["tok2vec"] = Part(tok2vec.to_bytes, tok2vec.from_bytes)
        # As everywhere in spaCy, the name of a file stands without its suffix in `exclude`.
        kept = {name: part for name, part in parts.items() if name.split(".")[0] not in exclude}
        origins = partial(featurizers.external_resources, self.vocab)
        return Saved(kept, self.model.attrs["blocks"], origins)

    @property
    def _is_initialized(self) -> bool:
        shim = self.model.shims[0]
        return isinstance(shim, TorchShim) and shim.is_built


def _read(folder: Path, name: str) -> bytes | None:
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
