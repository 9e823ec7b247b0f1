"""From the body of a request to posts with opened images."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import anyio
from fastapi import HTTPException, Request
from pydantic import TypeAdapter
from starlette.datastructures import FormData, UploadFile

from ..annotate.image_opener import MAX_IMAGES
from ..errors import ImageError
from ..images.data_uris import decode_data_uri, is_data_uri
from ..images.reference import LazyImage
from ..images.safety.limits import Limits
from ..images.safety.untrusted_references import URL, BulkImages
from ..images.safety.web_images import WebImages
from .api_types import AnnotateRequest, PostInput
from .post_annotator import OpenedPost
from .request_bodies import BodyReader, parse_form, validated
from .server_settings import MAX_REQUEST_IMAGES, ServerSettings

ATTACHMENT = "attachment:"
# The field of a form with the posts as JSON; without it, the form is one post.
POSTS_FIELD = "posts"
# Bytes above which a body is parsed in a thread.
LARGE = 1 << 20
FETCH_THREADS = 16

Files = Mapping[str, bytes]
_POSTS = TypeAdapter(list[PostInput])


class RequestParser:
    """Reads requests: JSON, or a multipart form with files.

    Its errors are HTTPExceptions, which the server returns: 408, 413, 415, 422 and 503.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.bodies = BodyReader(settings.max_body, settings.max_bodies, settings.timeout)
        self._limits: Limits = settings.task.image_limits
        web = WebImages(self._limits) if settings.allow_urls else None
        self._images = BulkImages(None, web, self._limits)
        self._fetching = anyio.CapacityLimiter(FETCH_THREADS)

    async def parse(self, request: Request, body: bytes) -> list[OpenedPost]:
        """Return the posts of a request, with their images."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        files: Files = {}
        if kind == "multipart/form-data":
            form = await parse_form(request, body, MAX_REQUEST_IMAGES + 8)
            files, parsed = await _of_form(form)
        elif kind == "application/json":
            parse = AnnotateRequest.model_validate_json
            parsed = await _in_thread_if_large(len(body), parse, body)
        else:
            raise HTTPException(415, "Send application/json or multipart/form-data.")
        self._check(parsed)
        content = await _in_thread_if_large(len(body), self._decode, parsed, files)
        return [
            OpenedPost(
                text=post.text,
                images=[await self._open(image) for image in images],
                attributes=post.model_dump(include={*ATTRIBUTES}, exclude_none=True),
                attention=parsed.attention,
            )
            for post, images in zip(parsed.posts, content, strict=True)
        ]

    def _check(self, parsed: AnnotateRequest) -> None:
        settings = self._settings
        if len(parsed.posts) > settings.max_posts:
            raise _too_many("posts", len(parsed.posts), settings.max_posts)
        counts = [len(post.images) for post in parsed.posts]
        if max(counts) > MAX_IMAGES:
            raise _too_many("images of a post", max(counts), MAX_IMAGES)
        if sum(counts) > MAX_REQUEST_IMAGES:
            raise _too_many("images", sum(counts), MAX_REQUEST_IMAGES)
        for post in parsed.posts:
            if len(post.text) > settings.max_length:
                raise _too_many("characters", len(post.text), settings.max_length)

    def _decode(self, parsed: AnnotateRequest, files: Files) -> list[list[bytes | str]]:
        """Return the content or the URL of each image of each post."""
        return [[self._content(image, files) for image in post.images] for post in parsed.posts]

    def _content(self, reference: str, files: Files) -> bytes | str:
        if reference.startswith(ATTACHMENT):
            name = reference.removeprefix(ATTACHMENT)
            if name not in files:
                raise HTTPException(422, f"The request has no file {name[:80]!r}.")
            content = files[name]
        elif is_data_uri(reference):
            try:
                content = decode_data_uri(reference)
            except ImageError as error:
                raise HTTPException(422, f"An image is {error}.") from None
        elif URL.match(reference):
            if self._images.web is None:
                raise HTTPException(422, "An image is a URL: fetched only with --allow-urls.")
            return reference
        else:
            try:
                content = base64.b64decode(reference, validate=True)
            except (binascii.Error, ValueError):
                raise HTTPException(
                    422, f"An image is neither base64, a data URI nor {ATTACHMENT}NAME."
                ) from None
        if len(content) > self._limits.bytes:
            raise _too_many("bytes of an image", len(content), self._limits.bytes)
        return content

    async def _open(self, content: bytes | str) -> LazyImage | ImageError:
        try:
            if isinstance(content, bytes):
                return self._images.open(content)
            return await anyio.to_thread.run_sync(
                self._images.open, content, limiter=self._fetching
            )
        # No exception raised for a URL may end the request: the image is masked. A new exception,
        # as the traceback of the original keeps the content in memory.
        except Exception as error:
            is_known = isinstance(error, ImageError)
            return ImageError(str(error) if is_known else type(error).__name__)


ATTRIBUTES = ("image_text", "image_objects", "image_features")


async def _of_form(form: FormData) -> tuple[Files, AnnotateRequest]:
    """The files of a form by name, and its posts.

    Without the field `posts`, the form is one post with the fields `text` and `image_text`, and
    all files of the field `image`.
    """
    files: dict[str, bytes] = {}
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            key = f"{name}:{len(files)}" if name in files else name
            files[key] = await value.read()
        else:
            fields[name] = value
    if "image" in fields:
        raise HTTPException(422, "image is a text, not a file: with curl, -F image=@FILE.")
    attention = fields.pop("attention", "false")
    if POSTS_FIELD in fields:
        posts: Any = validated(_POSTS.validate_json, fields.pop(POSTS_FIELD))
    else:
        images = [ATTACHMENT + name for name in files if name.partition(":")[0] == "image"]
        text = {name: fields.pop(name) for name in ("text", "image_text") if name in fields}
        posts = [{**text, "image": images or None}]
    unread = {"posts": posts, "attention": attention, **fields}
    return files, validated(AnnotateRequest.model_validate, unread)


async def _in_thread_if_large(n_bytes: int, function: Any, *arguments: Any) -> Any:
    if n_bytes < LARGE:
        return validated(function, *arguments)
    return await anyio.to_thread.run_sync(validated, function, *arguments)


def _too_many(what: str, found: int, limit: int) -> HTTPException:
    return HTTPException(413, f"Too many {what}: {found:,}, limit {limit:,}.")
