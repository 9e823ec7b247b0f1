"""The component `multimodal_ner`: the implementation of `TrainablePipe` of spaCy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import srsly
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
from ..models.allowed_tags import labels_of, tags_allowed_around, tags_allowed_by_gold
from ..models.gradients import drop_gradients, scale_gradients
from ..models.nonfinite import gradient_error, loss_error
from ..models.predictions import PostPrediction, loss_and_gradients, predict_posts
from ..models.shim import TorchShim
from ..models.tagger import TaggerOutput
from ..utils.caller import warn_caller
from .annotations import write_prediction
from .image_annotator import annotated
from .saved_settings import SavedSettings
from .saving import NETWORK, Part, SavedComponent, SavedInParts, encoder_file
from .short_training import warn_of_short_training
from .threads import use_one_thread_in_forked_child

# Padded tokens of a batch of the network in prediction: bounds memory, does not affect results.
PADDED_TOKENS = 8192

# Settings that may be changed on a component, and are saved with it.
SETTINGS = ("threshold", "annotate_attention", "images_root", "overwrite")


class MultimodalNER(SavedInParts, TrainablePipe):
    """Finds the named entities of posts, using `doc._.image`, `doc._.image_features` or
    `doc._.image_objects`.

    Sets `doc.ents`, `span._.score`, `doc._.image_status` and, where `annotate_attention` and the
    fuser has attention, `doc._.modality_attention` and `doc._.image_attention`.

    threshold: predicted entities with a smaller probability are dropped, after decoding.
    annotate_attention: annotate the attention of each token to the modalities or the regions.
    images_root: folder that relative image paths are relative to; the working directory where it
        is None.
    overwrite: replace the entities that a post has; false keeps them, and everything else is
        decoded exactly under that constraint. Entities that are kept have no `span._.score`.

    The settings may be changed on the component and are saved with it.
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
        overwrite: bool = True,
        scorer: Callable | None = None,
    ):
        self.vocab = vocab
        self.model = model
        self.name = name
        self.cfg: dict[str, Any] = {"labels": []}
        self.threshold = threshold
        self.annotate_attention = annotate_attention
        self.images_root = images_root
        self.overwrite = overwrite
        self.scorer = scorer
        self._settings = SavedSettings(self, SETTINGS)
        self._warned_of_missing_images = False
        # Updates of the weights since the training began.
        self._step = 0
        # The posts of every batch since the weights were last updated.
        self._accumulated_batches: list[list[Doc]] = []

    # Settings

    @property
    def threshold(self) -> float:
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"threshold must be between 0 and 1, got {value}.")
        self._threshold = value

    @property
    def images_root(self) -> Path | None:
        return self.model.attrs["featurizers"].images_root

    @images_root.setter
    def images_root(self, path: str | Path | None) -> None:
        self.model.attrs["featurizers"].images_root = None if path is None else Path(path)

    @property
    def attention_bounds(self) -> tuple[float, float] | None:
        """Lowest and highest weight of a modality, if the fuser bounds them and a post has all."""
        return cast(Any, self._shim.network).attention_bounds

    # Labels

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> dict[str, Any] | None:
        """The labels and the vocabularies of the featurizers, from which `initialize` can start."""
        if not self.is_initialized:
            return None
        return {"labels": list(self.labels), "vocabularies": self.model.attrs["featurizers"].state}

    def add_label(self, label: str) -> int:
        """Add an entity label. Returns 1 if it is new, else 0.

        An initialized network is extended: existing labels keep their weights, and predictions stay
        the same until the new label is trained.
        """
        if not isinstance(label, str) or not label:
            raise ValueError(f"A label must be a non-empty string, got {label!r}.")
        if label in self.labels:
            return 0
        self.vocab.strings.add(label)
        if self.is_initialized:
            self._set_labels([*self.labels, label])
            self._shim.add_label(label)
        else:
            self.cfg["labels"] = sorted([*self.labels, label])
        return 1

    def _set_labels(self, labels: Sequence[str]) -> None:
        self.cfg["labels"] = list(labels)
        self.model.attrs["labels"] = list(labels)
        self.model.set_dim("nO", len(labels), force=True)
        for label in labels:
            self.vocab.strings.add(label)

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: dict[str, Any] | list[str] | None = None,
        image_cache: str | None = None,
    ) -> None:
        """Set the labels, collect the vocabularies and build a new network.

        labels: the output of `spacy init labels`, or a list of entity labels; None to collect them
            from the training corpus.
        image_cache: folder in which image features are cached over epochs and restarts of the
            training; None for none. It is not saved: a loaded pipeline writes no files. A
            component with `source`, which spaCy does not initialize, caches in memory alone.

        Raises ValueError where there are no labels, and UsageError for a pipeline for prediction.
        """
        self.model.attrs["featurizers"].check_trainable(is_trained=self.is_initialized)
        validate_get_examples(get_examples, "MultimodalNER.initialize")
        given = labels if isinstance(labels, dict) else {"labels": labels}
        if "labels" not in given:
            raise ValueError(
                f"The labels of {self.name!r} must be a list of entity labels, or the output of "
                f"`spacy init labels`; got a mapping of {sorted(given)}."
            )
        names = given["labels"]
        if names is None:
            names = labels_of(example.reference for example in get_examples())
        added = () if self.is_initialized else self.labels
        if not (names or added):
            raise ValueError(
                f"{self.name!r} has no entity labels: the training posts have no entities. "
                "Annotate some, or add the labels with add_label()."
            )
        self._set_labels(sorted({*names, *added}))
        if nlp is not None:
            warn_of_short_training(nlp.config["training"], get_examples)
        self.model.attrs["featurizers"].initialize(
            annotated(get_examples(), nlp, self.name),
            vocabularies=given.get("vocabularies"),
            image_cache=None if image_cache is None else Path(image_cache),
        )
        self.model.initialize(X=[example.predicted for example in islice(get_examples(), 10)])
        self._step, self._accumulated_batches = 0, []

    def update(self, examples: Iterable[Example], **settings: Any) -> dict[str, float]:
        """Train on a batch of posts; see `TrainablePipe.update`."""
        use_one_thread_in_forked_child()
        examples = list(examples)
        n_before = len(self._accumulated_batches)
        if examples:
            self._accumulated_batches.append([example.reference for example in examples])
        try:
            return super().update(examples, **settings)
        except Exception:
            # A failed batch has no gradient and must not count in the mean.
            del self._accumulated_batches[n_before:]
            raise

    def finish_update(self, sgd: Optimizer) -> None:
        """Update the weights with the mean gradient of all posts since the last update.

        This includes a tok2vec in the model, but not a component that `model.tok2vec` listens to:
        that one updates its weights itself, before the number of posts is known here, with the
        sum of the gradients of the batches, as with other components of spaCy: the mean gradient of
        all posts, times their number divided by that of the first batch.

        Raises ValueError, with the posts, where a gradient of the network is not finite. The
        gradients are then discarded and the weights stay the same.
        """
        batches, self._accumulated_batches = self._accumulated_batches, []
        posts = list(chain.from_iterable(batches))
        if len(batches) > 1:
            # Each batch was weighted relative to the size of the first: see `get_loss`.
            scale_gradients(self.model, len(batches[0]) / len(posts))
        if parameters := self._shim.nonfinite_gradients():
            drop_gradients(self.model)
            raise gradient_error(self.name, self._step, posts, parameters)
        super().finish_update(sgd)
        self._step += 1

    def get_loss(
        self, examples: Iterable[Example], scores: TaggerOutput
    ) -> tuple[float, Potentials]:
        """The negative log-likelihood of the gold tags, mean over posts, and its gradients.

        Tokens with missing annotation are marginalized; a post without annotation has loss 0. The
        loss of an auxiliary head of the decoder is added. Where gradients are accumulated, those
        of a batch are weighted by its number of posts relative to the first batch.
        Raises ValueError (E910), with the posts and the cause, where the loss is not finite.
        """
        examples = list(examples)
        validate_examples(examples, "MultimodalNER.get_loss")
        self._warn_if_reader_drops_images(examples)
        allowed = tags_allowed_by_gold(examples, self.labels)
        loss, gradients = loss_and_gradients(scores, allowed)
        if not np.isfinite(loss):
            posts = [example.reference for example in examples]
            raise loss_error(self.name, self._step, posts, scores, self.model)
        batches = self._accumulated_batches
        weight = len(examples) / len(batches[0]) if batches else 1.0
        return loss, gradients.with_tensors([part * weight for part in gradients.tensors()])

    def rehearse(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, float]:
        # The method of the base class does nothing, silently.
        raise ValueError(
            f"{self.name!r} does not implement rehearsal. To avoid catastrophic forgetting, mix "
            "old examples into the training data."
        )

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        examples = list(examples)
        self._warn_if_reader_drops_images(examples)
        return super().score(examples, **kwargs)

    def _warn_if_reader_drops_images(self, examples: Sequence[Example]) -> None:
        if self._warned_of_missing_images:
            return
        with_image = next((eg for eg in examples if has_image(eg.reference)), None)
        if with_image is not None and not has_image(with_image.predicted):
            self._warned_of_missing_images = True
            warn_caller(
                "The corpus has images, but its reader drops them before they reach "
                f'{self.name!r}. Use @readers = "spacy_mner.MultimodalCorpus.v1" in [corpora] '
                "(`spacy-mner init` writes such a config), and `spacy-mner evaluate` instead of "
                "`spacy evaluate`.",
                MissingImagesWarning,
            )

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> list[PostPrediction]:
        """Predict without changing the posts. Predictions do not depend on the batches."""
        docs = list(docs)
        if not self.is_initialized:
            raise ValueError(Errors.E109.format(name=self.name))
        use_one_thread_in_forked_child()
        self.model.attrs["annotate_attention"] = self.annotate_attention
        predictions: dict[int, PostPrediction] = {}
        for indices in batch_by_padded_size(map(len, docs), PADDED_TOKENS):
            batch = self._predict_batch([docs[i] for i in indices])
            predictions.update(zip(indices, batch, strict=True))
        return [predictions[i] for i in range(len(docs))]

    def _predict_batch(self, docs: list[Doc]) -> list[PostPrediction]:
        output = self.model.predict(docs)
        keeps = not self.overwrite and any(doc.ents for doc in docs)
        allowed = tags_allowed_around(docs, self.labels) if keeps else None
        return predict_posts(output, self.labels, threshold=self.threshold, allowed=allowed)

    def set_annotations(self, docs: Iterable[Doc], scores: list[PostPrediction]) -> None:
        """Write the entities and attributes into the posts."""
        for doc, prediction in zip(docs, scores, strict=True):
            write_prediction(doc, prediction, overwrite=self.overwrite)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of posts. If a post fails, only it goes to the error handler."""
        error_handler = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
                yield from docs
            except Exception as error:
                if len(docs) > 1:
                    yield from self.pipe(docs, batch_size=1)
                else:
                    error_handler(self.name, self, docs, error)

    # Saving, none of it executable

    def all_parts(self, exclude: Collection[str]) -> SavedComponent:
        featurizers = self.model.attrs["featurizers"]
        encoders = {
            encoder_file(name): Part(
                partial(encoder.weights_to_bytes, self._shim.saved_dtype),
                featurizers.by_name[name].restore_encoder,
            )
            for name, encoder in featurizers.saved_encoders.items()
        }
        parts = {
            "cfg": Part(self._dump_cfg, self._load_cfg),
            "vocab": Part(
                lambda: self.vocab.to_bytes(exclude=exclude),
                lambda data: self.vocab.from_bytes(data, exclude=exclude),
            ),
            **encoders,
            "featurizers.msgpack": Part(featurizers.to_bytes, featurizers.from_bytes),
            NETWORK: Part(self._shim.to_bytes, self._shim.from_bytes),
        }
        for tok2vec in self.model.layers:
            parts["tok2vec"] = Part(tok2vec.to_bytes, tok2vec.from_bytes)
        return SavedComponent(
            parts,
            self.model.attrs["blocks"],
            partial(featurizers.external_resources, self.vocab),
        )

    def _dump_cfg(self) -> bytes:
        return srsly.json_dumps({**self.cfg, **self._settings.to_json()}).encode()

    def _load_cfg(self, data: bytes) -> None:
        saved = srsly.json_loads(data)
        self.cfg["labels"] = saved["labels"]
        self._settings.from_json(saved)

    @property
    def _shim(self) -> TorchShim:
        return cast(TorchShim, self.model.shims[0])

    @property
    def is_initialized(self) -> bool:
        return self._shim.is_built
