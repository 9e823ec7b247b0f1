"""The web application: the JSON API, its documentation and the page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from ..about import __version__
from ..annotate.annotator import Annotation
from .annotate_requests import RequestParser
from .api_types import AnnotateRequest, AnnotateResponse, Health, Labels, Problem
from .batcher import DynamicBatcher, QueueFullError
from .browser_page import add_page
from .labelstudio_backend import add_label_studio
from .post_annotator import OpenedPost
from .request_bodies import overloaded, unless_disconnected
from .server_settings import ServerSettings
from .worker_pool import WorkerDiedError, WorkerPool

DESCRIPTION = """
Named entities of short posts that come with an image.

Annotate a post with an image:

    curl -F text='finally got my jaguar' -F image=@car.jpg http://127.0.0.1:8000/v1/annotate

Several posts, as JSON, with images in base64; or as a form, with the posts as JSON in the field
`posts`, whose images are `attachment:NAME` for the file of the field `NAME`.
"""
logger = logging.getLogger("spacy_mner.serve")

PROBLEMS: dict[int | str, dict[str, Any]] = {
    408: {"model": Problem, "description": "The request did not arrive in time."},
    413: {"model": Problem, "description": "The body, an image, a text or their number is over a "
          "limit."},
    415: {"model": Problem, "description": "Neither JSON nor a multipart form."},
    422: {"model": Problem, "description": "The request is invalid."},
    503: {"model": Problem, "description": "Too many requests; see the header Retry-After."},
}  # fmt: skip


class AnnotationService:
    """The pipeline in processes of its own, behind a queue.

    Raises LoadingError or UsageError if the pipeline cannot be loaded.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._workers = WorkerPool(settings.task, settings.n_workers)
        self.model = self._workers.model
        self.labels = self._workers.labels
        self.batcher: DynamicBatcher[OpenedPost, Annotation] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Annotate what is submitted, until the context ends."""
        settings = self.settings
        self.batcher = DynamicBatcher(
            self._workers.annotate,
            batch_size=settings.batch_size,
            max_wait=settings.max_wait,
            max_queue=settings.max_queue,
            n_concurrent=settings.n_workers,
        )
        task = asyncio.create_task(self.batcher.run())
        try:
            yield
        finally:
            task.cancel()
            self._workers.shutdown()

    async def submit(self, posts: list[OpenedPost]) -> list[Annotation]:
        """Return the annotations of posts.

        Raises HTTPException (503) if the queue is full, or a process dies that annotates them.
        """
        assert self.batcher is not None
        try:
            return await self.batcher.submit(posts)
        except QueueFullError as error:
            raise overloaded(f"The server is busy: {error}.") from None
        except WorkerDiedError:
            logger.error("A process that annotated posts has died, and is replaced.")
            raise overloaded("The process that annotated the posts has died.") from None


def build_application(service: AnnotationService) -> FastAPI:
    """Return the application of a service."""
    requests = RequestParser(service.settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="spacy-mner",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )

    async def annotated(request: Request, body: bytes) -> list[Annotation]:
        return await service.submit(await requests.parse(request, body))

    @app.post(
        "/v1/annotate",
        response_model=AnnotateResponse,
        responses=PROBLEMS,
        openapi_extra={"requestBody": _request_body()},
        summary="Annotate one post or several",
    )
    async def annotate(request: Request) -> JSONResponse:
        async with requests.bodies.read(request) as body:
            annotations = await unless_disconnected(request, annotated(request, body))
            return JSONResponse({"posts": annotations})

    @app.get("/v1/labels", summary="The labels of entities")
    async def labels() -> Labels:
        return Labels(model=service.model, labels=service.labels)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Whether the server is ready")
    async def healthz() -> Health:
        assert service.batcher is not None
        return Health(status="ok", version=__version__, waiting=service.batcher.n_queued)

    add_label_studio(
        app, service.settings, requests.bodies, requests.images, service.model, service.submit
    )
    add_page(app, service.model, service.labels, service.settings)
    return app


def _request_body() -> dict[str, Any]:
    """The body of a request in OpenAPI: it is parsed by hand, within limits."""
    text = {"type": "string"}
    form = {
        "type": "object",
        "properties": {
            "text": text,
            "image": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "image_text": text,
            "posts": {**text, "description": "Several posts instead, as JSON."},
            "attention": {"type": "boolean", "default": False},
        },
    }
    schema = AnnotateRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["properties"]["posts"]["items"] = schema.pop("$defs")["PostInput"]
    return {
        "required": True,
        "content": {
            "application/json": {"schema": schema},
            "multipart/form-data": {"schema": form},
        },
    }
