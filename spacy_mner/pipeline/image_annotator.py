"""ImageAnnotator, the base class of untrained components that annotate what images show."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Generic

import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch
from thinc.util import get_torch_default_device

from ..errors import ImageError
from ..images.disk_cache import DiskCache
from ..images.feature_cache import FeatureCache
from ..images.image_model import ImageModel, Result
from ..images.masked_images import MaskedImageWarnings
from ..images.reference import LazyImage, open_images
from ..utils.folder_bytes import bytes_to_folder, folder_to_bytes
from .saved_settings import SavedSettings
from .saving import Part, SavedComponent, SavedInParts
from .threads import use_one_thread_in_forked_child


class ImageAnnotator(SavedInParts, Pipe, Generic[Result]):
    """Sets an attribute of posts that have an image, where it is None.

    An image that cannot be used is left out, with a warning. If no image of a post can be used, the
    attribute stays None.

    model: what is applied to the images; it computes on the device that Thinc computes on when the
        component is made.
    images_root: folder that relative image paths are relative to; the working directory where it
        is None. It may be changed on the component and is saved with it.
    memory_mb: size of the cache of results in memory, in MiB.

    Raises UsageError or ImportError where a package is missing.
    """

    attribute: ClassVar[str]

    def __init__(
        self,
        name: str,
        model: ImageModel[Result],
        *,
        images_root: str | Path | None,
        memory_mb: int,
    ) -> None:
        model.check_installed()
        self.name = name
        self.model = model
        self.cache = FeatureCache(model, memory_mb=memory_mb)
        self.images_root = images_root
        self.device = get_torch_default_device()
        self._settings = SavedSettings(self, ["images_root"])
        self._warn = MaskedImageWarnings()

    @abstractmethod
    def merge(self, results: Sequence[Result]) -> Any:
        """Return the attribute of a post from the results of its images, at least one."""

    @property
    def images_root(self) -> Path | None:
        return self._images_root

    @images_root.setter
    def images_root(self, path: str | Path | None) -> None:
        self._images_root = None if path is None else Path(path)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        image_cache: str | None = None,
    ) -> None:
        """Set the folder in which results are cached over epochs and restarts of the training.

        image_cache: null for none. It is not saved: a loaded pipeline writes no files.
        """
        self.cache.disk = None if image_cache is None else DiskCache(Path(image_cache))

    def __call__(self, doc: Doc) -> Doc:
        self._annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of posts. If a post fails, only it goes to the error handler."""
        error_handler = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self._annotate(docs)
                yield from docs
            except Exception as error:
                if len(docs) > 1:
                    yield from self.pipe(docs, batch_size=1)
                else:
                    error_handler(self.name, self, docs, error)

    def _annotate(self, docs: Sequence[Doc]) -> None:
        use_one_thread_in_forked_child()
        missing = [doc for doc in docs if doc._.get(self.attribute) is None]
        opened = [open_images(doc._.image, self.images_root) for doc in missing]
        images = [one for post in opened for one in post if isinstance(one, LazyImage)]
        computed = iter(self.cache.results(images, self.device))
        for doc, post in zip(missing, opened, strict=True):
            outcomes = [next(computed) if isinstance(one, LazyImage) else one for one in post]
            self._warn(str(one) for one in outcomes if isinstance(one, ImageError))
            if results := [one for one in outcomes if not isinstance(one, ImageError)]:
                doc._.set(self.attribute, self.merge(results))

    def all_parts(self, exclude: Collection[str]) -> SavedComponent:
        parts = {
            "cfg": Part(self._dump_settings, self._load_settings),
            "model.msgpack": Part(self._dump_model, self._load_model),
        }
        return SavedComponent(parts, blocks={}, external_resources=dict)

    def _dump_settings(self) -> bytes:
        return srsly.json_dumps(self._settings.to_json()).encode()

    def _load_settings(self, data: bytes) -> None:
        self._settings.from_json(srsly.json_loads(data))

    def _dump_model(self) -> bytes:
        with TemporaryDirectory() as folder:
            self.model.save_files(Path(folder))
            return folder_to_bytes(Path(folder))

    def _load_model(self, data: bytes) -> None:
        # Windows cannot delete a file of weights that the network has mapped into memory.
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            bytes_to_folder(data, Path(folder))
            self.model.load_files(Path(folder))
        self.cache.reset()


def annotated(examples: Iterable[Example], nlp: Language | None, name: str) -> Iterable[Doc]:
    """Return the predicted side of examples as a component sees it in training.

    It is annotated by the components before `name` that are in `training.annotating_components`.
    """
    docs: Iterable[Doc] = (example.predicted for example in examples)
    if nlp is None:
        return docs
    # A config that nobody trained from may have no values for training.
    annotating = nlp.config["training"].get("annotating_components", [])
    for before in nlp.pipe_names[: nlp.pipe_names.index(name)]:
        if before in annotating:
            pipe = nlp.get_pipe(before)
            docs = pipe.pipe(docs) if hasattr(pipe, "pipe") else map(pipe, docs)
    return docs
