"""The protocol of Label Studio's ML backends: predictions for annotators.

Label Studio calls `/setup` with the labeling config of a project and `/predict` with tasks.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, TypeAdapter

from ..annotate.annotator import Annotation
from ..annotate.image_opener import MAX_IMAGES
from ..utils.text import pluralize
from .labeling_config import LabelingConfig
from .post_annotator import OpenedPost
from .request_bodies import (
    BodyReader,
    media_type,
    parse_json,
    too_many,
    unless_disconnected,
    validated,
)
from .request_images import RequestImages
from .server_settings import MAX_REQUEST_IMAGES, ServerSettings
from .task_images import TaskImages

# Values in the JSON of a request. Its parsers hold the interpreter lock (GIL), so that nobody else
# is answered meanwhile, in a thread neither: for some tenths of a second for so many, and for 9 s
# for those of 30 MB.
MAX_TASK_VALUES = 200_000
# Characters of a labeling config; parsing them takes up to 0.1 s.
MAX_CONFIG = 200_000

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


def add_label_studio(
    app: FastAPI,
    settings: ServerSettings,
    bodies: BodyReader,
    images: RequestImages,
    model: str,
    submit: Callable[[list[OpenedPost]], Awaitable[list[Annotation]]],
) -> None:
    """Add `/health`, `/setup` and `/predict`.

    bodies, images: read the bodies of requests, and fetch their images.
    model: the version of the predictions. submit: annotates posts.
    """
    task_images = TaskImages(settings)

    async def annotated(
        request: Request, texts: list[Any], references: list[list[Any]]
    ) -> list[Annotation]:
        sources = await anyio.to_thread.run_sync(task_images.find_all, references)
        opened = await images.fetch(request, sources)
        return await submit([OpenedPost(*post) for post in zip(texts, opened, strict=True)])

    @app.head("/health", include_in_schema=False)
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
            texts = [task.data.get(config.text_key) for task in tasks]
            annotations = await unless_disconnected(request, annotated(request, texts, references))
        _log_failed(annotations)
        results = [
            _prediction(config, text, annotation, model)
            for text, annotation in zip(texts, annotations, strict=True)
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
    parsed: Parsed = validated(kind.model_validate, parse_json(body, MAX_TASK_VALUES))
    return parsed


def _config(xml: str) -> LabelingConfig:
    if len(xml) > MAX_CONFIG:
        raise HTTPException(413, f"The labeling config is over {MAX_CONFIG:,} characters.")
    try:
        return LabelingConfig.parse(xml)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
