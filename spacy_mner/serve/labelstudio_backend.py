"""The protocol of Label Studio's ML backends: predictions for annotators.

Label Studio calls `/setup` with the labeling config of a project and `/predict` with tasks.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, unquote, urljoin, urlsplit
from xml.etree import ElementTree

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, TypeAdapter

from ..annotate.annotator import Annotation
from ..annotate.image_opener import MAX_IMAGES
from ..corpus.labelstudio import LOCAL_FILES, text_region
from ..errors import UsageError
from ..images.data_uris import is_data_uri
from ..images.reference import LazyImage
from ..images.safety.paths import has_parent_reference
from ..images.safety.untrusted_references import BulkImages, FolderImages
from ..images.safety.web_images import PORTS, WebImages
from ..utils.text import pluralize
from .post_annotator import OpenedPost
from .request_bodies import BodyReader, media_type, parse_json, too_many, validated
from .request_images import RequestImages
from .server_settings import MAX_REQUEST_IMAGES, ServerSettings

# Paths at which Label Studio serves the files of tasks, and those of a folder among them.
SERVED_PATH = "/data/"
LOCAL_PATH = urlsplit(LOCAL_FILES).path
# Values in the JSON of a request. Its parsers hold the interpreter lock (GIL), so that nobody else
# is answered meanwhile, in a thread neither: for some tenths of a second for so many, and for 9 s
# for those of 30 MB.
MAX_VALUES = 200_000
# Characters of a labeling config; parsing them takes up to 0.1 s.
MAX_CONFIG = 1_000_000

logger = logging.getLogger("spacy_mner.serve")

Parsed = TypeVar("Parsed", bound=BaseModel)


class SetupRequest(BaseModel):
    """The part of a request to `/setup` that is read. label_config: XML, named `schema` there."""

    label_config: Annotated[str, Field(alias="schema")]


class LabelStudioTask(BaseModel):
    """A task. data: by the names of the variables of the labeling config."""

    data: dict[str, Any]


class PredictRequest(BaseModel):
    """The part of a request to `/predict` that is read.

    tasks: validated when their number is known to be within the limit.
    """

    tasks: list[Any]
    label_config: str


_TASKS = TypeAdapter(list[LabelStudioTask])


@dataclass(frozen=True)
class LabelingConfig:
    """Where the labels of a text are in a labeling config.

    labels_name, text_name: of the tags.
    text_key, image_keys: of the data of a task; of the first images of the config, as many as a
        post may have.
    """

    labels_name: str
    text_name: str
    labels: frozenset[str]
    text_key: str
    image_keys: tuple[str, ...]

    @classmethod
    def parse(cls, xml: str) -> LabelingConfig:
        """Raises ValueError for XML without labels of a text."""
        if "<!" in xml.replace("<!--", ""):
            raise ValueError("The labeling config has a document type or CDATA.")
        try:
            root = ElementTree.fromstring(xml)
        except ElementTree.ParseError as error:
            raise ValueError(f"The labeling config is not XML: {error}.") from None
        texts = {tag.get("name"): tag for tag in root.iter("Text")}
        for labels in root.iter("Labels"):
            text = texts.get(labels.get("toName"))
            if text is not None:
                keys = dict.fromkeys(_key(image) for image in root.iter("Image"))
                return cls(
                    labels_name=labels.get("name", ""),
                    text_name=text.get("name", ""),
                    labels=frozenset(one.get("value", "") for one in labels.iter("Label")),
                    text_key=_key(text),
                    image_keys=tuple(keys)[:MAX_IMAGES],
                )
        raise ValueError("The labeling config has no tag Labels whose toName is a tag Text.")

    def regions(self, text: str, annotation: Annotation) -> list[dict[str, Any]]:
        """Return the entities whose label the project has."""
        return [
            text_region(number, text, entity, self.labels_name, self.text_name)
            | {"score": entity["score"]}
            for number, entity in enumerate(annotation["entities"])
            if entity["label"] in self.labels
        ]


def _key(tag: ElementTree.Element) -> str:
    return (tag.get("value") or tag.get("valueList") or "").removeprefix("$")


class TaskImages:
    """Opens the images of tasks: local files, files of Label Studio itself, and data URIs.

    Raises UsageError if the URL of Label Studio is not one of a host.
    """

    def __init__(self, settings: ServerSettings) -> None:
        limits = settings.task.image_limits
        web = WebImages(limits) if settings.allow_urls else None
        self._others = BulkImages(None, web, limits)
        root = settings.images_root
        self._folder = None if root is None else FolderImages(root, limits)
        self._url = settings.label_studio_url or ""
        self._base = ""
        self._label_studio: WebImages | None = None
        if settings.label_studio_url is not None:
            host = _origin(self._url)
            if host is None:
                raise UsageError(
                    f"--label-studio-url {self._url}: expected http://HOST:PORT, or a path there."
                )
            # Label Studio may be below a path of its host.
            self._base = unquote(urlsplit(self._url).path).rstrip("/")
            token = settings.label_studio_token
            headers = [(b"Authorization", f"Token {token}".encode())] if token else []
            # Exactly this host may have any address; a redirect could leave it.
            self._label_studio = WebImages(
                limits,
                redirects=0,
                ports=frozenset({host[2]}),
                allowed=lambda address: True,
                headers=tuple(headers),
            )

    def open(self, reference: Any, seconds: float) -> LazyImage:
        """Return an image. Raises ImageError if it cannot be opened in so many seconds."""
        if not isinstance(reference, str) or is_data_uri(reference):
            return self._others.open(reference, seconds)
        if self._folder is not None:
            path = self._local_path(reference)
            if path is not None:
                return self._folder.open(path)
        if self._label_studio is not None:
            url = urljoin(self._url, reference)
            path = unquote(urlsplit(url).path)
            is_file = path.startswith(self._base + SERVED_PATH) and not has_parent_reference(path)
            if is_file and _origin(url) == _origin(self._url):
                return self._label_studio.open(url, seconds)
        return self._others.open(reference, seconds)

    def _local_path(self, reference: str) -> str | None:
        """Return the path in the URL of a local file, relative to the folder; None if it is none.

        The host is not compared: Label Studio may have other names for itself.
        """
        parts = urlsplit(reference)
        if unquote(parts.path) not in (LOCAL_PATH, self._base + LOCAL_PATH):
            return None
        return next(iter(parse_qs(parts.query).get("d", [])), None)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None if it is none, or has credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (KeyError, ValueError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def add_label_studio(
    app: FastAPI,
    settings: ServerSettings,
    bodies: BodyReader,
    model: str,
    submit: Callable[[list[OpenedPost]], Awaitable[list[Annotation]]],
) -> None:
    """Add `/health`, `/setup` and `/predict`.

    model: the version of the predictions. submit: annotates posts.
    """
    images = RequestImages(TaskImages(settings).open, settings.timeout, bodies)

    @app.get("/health", tags=["Label Studio"], summary="Whether the server is ready")
    async def health() -> dict[str, str]:
        return {"status": "UP", "model_class": model}

    @app.post("/setup", tags=["Label Studio"], summary="Check the labeling config of a project")
    async def setup(request: Request) -> dict[str, str]:
        async with bodies.read(request) as body:
            parsed = _parsed(SetupRequest, request, body)
        _config(parsed.label_config)
        return {"model_version": model}

    @app.post("/predict", tags=["Label Studio"], summary="Predict the entities of tasks")
    async def predict(request: Request) -> dict[str, Any]:
        async with bodies.read(request) as body:
            parsed = _parsed(PredictRequest, request, body)
            if len(parsed.tasks) > settings.max_posts:
                raise too_many("tasks", len(parsed.tasks), settings.max_posts)
            tasks = validated(_TASKS.validate_python, parsed.tasks)
            config = _config(parsed.label_config)
            references = [_references(task, config) for task in tasks]
            n_images = sum(map(len, references))
            if n_images > MAX_REQUEST_IMAGES:
                raise too_many("images", n_images, MAX_REQUEST_IMAGES)
            opened = await images.open(request, references)
            posts = [
                OpenedPost(text=task.data.get(config.text_key, ""), images=of_task)
                for task, of_task in zip(tasks, opened, strict=True)
            ]
            annotations = await submit(posts)
        _log_failed(annotations)
        results = [
            _prediction(config, post.text, annotation, model)
            for post, annotation in zip(posts, annotations, strict=True)
        ]
        return {"results": results, "model_version": model}


def _references(task: LabelStudioTask, config: LabelingConfig) -> list[Any]:
    values = [task.data.get(key) for key in config.image_keys]
    lists = [value if isinstance(value, list) else [value] for value in values]
    return [one for of_key in lists for one in of_key if one][:MAX_IMAGES]


def _prediction(
    config: LabelingConfig, text: str, annotation: Annotation, model: str
) -> dict[str, Any] | list[Any]:
    """Return the prediction of a task, or an empty list for a task that failed.

    An empty prediction would mean that there are no entities, and be stored: Label Studio asks
    again only for tasks without a prediction.
    """
    if annotation["error"] is not None:
        return []
    regions = config.regions(text, annotation)
    scores = [one["score"] for one in regions if one["score"] is not None]
    score = sum(scores) / len(scores) if scores else 0.0
    return {"result": regions, "score": score, "model_version": model}


def _log_failed(annotations: list[Annotation]) -> None:
    """Log the types of errors without their messages, which can quote a post."""
    errors = [one["error"].partition(":")[0] for one in annotations if one["error"] is not None]
    for kind, n in Counter(errors).items():
        logger.warning("%s failed: %s", pluralize(n, "task"), kind)


def _parsed(kind: type[Parsed], request: Request, body: bytes) -> Parsed:
    """Parse a request. Raises HTTPException: 413, 415 or 422."""
    # Other types need no permission of the server (CORS): with them, any web page that a user of
    # this machine visits could have images fetched with the token.
    if media_type(request) != "application/json":
        raise HTTPException(415, "Send application/json.")
    parsed: Parsed = validated(kind.model_validate, parse_json(body, MAX_VALUES))
    return parsed


def _config(xml: str) -> LabelingConfig:
    if len(xml) > MAX_CONFIG:
        raise HTTPException(413, f"The labeling config is over {MAX_CONFIG:,} characters.")
    try:
        return LabelingConfig.parse(xml)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
