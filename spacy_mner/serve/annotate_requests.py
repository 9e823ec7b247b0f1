"""From the body of a request to posts with opened images."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
from fastapi import HTTPException, Request

from ..annotate.image_opener import MAX_IMAGES
from ..errors import ImageError
from ..images.data_uris import decode_data_uri, is_data_uri
from ..images.detectors.object_detector import MAX_OBJECTS
from ..images.reference import BytesImage
from ..images.safety.limits import Limits
from ..images.safety.untrusted_references import URL
from ..images.safety.web_images import WebImages
from .api_types import AnnotateRequest
from .post_annotator import OpenedPost
from .request_bodies import BodyReader, located, media_type, parse_json, too_many, validated
from .request_forms import Form, parse_form
from .request_images import Fetch, RequestImages
from .server_settings import MAX_REQUEST_IMAGES, ServerSettings

ATTRIBUTES = ("image_text", "image_objects", "image_features")
ATTACHMENT = "attachment:"
# The field of a form with the posts as JSON; without it, the form is one post.
POSTS_FIELD = "posts"
# The field of its images.
IMAGE_FIELD = "image"
TEXT_FIELDS = ("text", "image_text")
WHITESPACE = b" \t\n\r\f\v"
# Bytes above which a body is parsed in a thread.
LARGE = 1 << 20

Files = Mapping[str, bytes]


class RequestParser:
    """Reads requests: JSON, or a multipart form with files.

    Its errors are HTTPExceptions, which the server returns: 408, 413, 415, 422 and 503.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.bodies = BodyReader(settings.max_body, settings.max_bodies, settings.timeout)
        self._limits: Limits = settings.task.image_limits
        self._web = WebImages(self._limits) if settings.allow_urls else None
        self.images = RequestImages(settings.timeout, self.bodies)

    async def parse(self, request: Request, body: bytes) -> list[OpenedPost]:
        """Return the posts of a request, with their images."""
        kind = media_type(request)
        files: Files = {}
        if kind == "multipart/form-data":
            content_type = request.headers["content-type"]
            form = await parse_form(content_type, body, MAX_REQUEST_IMAGES + 8)
            parsed, files = await _in_thread_if_large(len(body), self._parse_form, form)
        elif kind == "application/json":
            parsed = await _in_thread_if_large(len(body), self._parse_json, body)
        else:
            raise HTTPException(415, "Send application/json or multipart/form-data.")
        sources = await _in_thread_if_large(len(body), self._decode, parsed, files)
        opened = await self.images.fetch(request, sources)
        return [
            OpenedPost(
                text=post.text,
                images=images,
                attributes={
                    name: value for name in ATTRIBUTES if (value := getattr(post, name)) is not None
                },
                attention=parsed.attention,
            )
            for post, images in zip(parsed.posts, opened, strict=True)
        ]

    def _parse_json(self, body: bytes) -> AnnotateRequest:
        return self._validate(parse_json(body))

    def _parse_form(self, form: Form) -> tuple[AnnotateRequest, Files]:
        """The posts of a form, and its files by the names that posts have for them.

        Without the field `posts`, it is one post with the fields `text` and `image_text`, and all
        files of the field `image`. Each file must belong to a post.
        """
        fields = form.fields
        if IMAGE_FIELD in fields:
            raise HTTPException(422, "image is a text, not a file: with curl, -F image=@FILE.")
        attention = fields.pop("attention", "false")
        if POSTS_FIELD in fields:
            files = _by_name(form.files)
            posts = parse_json(fields.pop(POSTS_FIELD).encode())
        else:
            for name, _ in form.files:
                if name in (POSTS_FIELD, *TEXT_FIELDS):
                    reason = f"{name} is a file, not a text: with curl, -F '{name}=<FILE'."
                    raise HTTPException(422, reason)
                if name != IMAGE_FIELD:
                    raise _unused(name, f"the field of an image is {IMAGE_FIELD!r}")
            files = {str(i): content for i, (_, content) in enumerate(form.files)}
            if "text" not in fields:
                raise HTTPException(422, f"The form has neither a field text nor {POSTS_FIELD}.")
            images = [ATTACHMENT + name for name in files]
            text = {name: fields.pop(name) for name in TEXT_FIELDS if name in fields}
            posts = [{**text, "image": images or None}]
        parsed = self._validate({"posts": posts, "attention": attention, **fields})
        used = {image for post in parsed.posts for image in post.images}
        for name in files:
            if ATTACHMENT + name not in used:
                raise _unused(name, f'a post names it as "image": "{ATTACHMENT}NAME"')
        return parsed, files

    def _validate(self, value: Any) -> AnnotateRequest:
        posts = value.get("posts") if isinstance(value, dict) else None
        if isinstance(posts, list):
            self._check(posts)
        elif isinstance(value, dict) and "text" in value:
            raise HTTPException(422, 'Send a list of posts: {"posts": [{"text": "…"}]}.')
        parsed: AnnotateRequest = validated(AnnotateRequest.model_validate, value)
        return parsed

    def _check(self, posts: list[Any]) -> None:
        """Check the numbers of things in posts that may be invalid otherwise."""
        _check_number("posts", len(posts), self._settings.max_posts)
        n_images = 0
        for i, post in enumerate(posts):
            if isinstance(post, dict):
                with located(f"posts.{i}"):
                    n_images += self._check_post(post)
        _check_number("images", n_images, MAX_REQUEST_IMAGES)

    def _check_post(self, post: dict[str, Any]) -> int:
        """Check the numbers of things in a post, and return its number of images."""
        for key, what, limit in (
            ("image", "images", MAX_IMAGES),
            ("image_objects", "objects", MAX_OBJECTS),
        ):
            if isinstance(post.get(key), list):
                _check_number(what, len(post[key]), limit)
        for key in TEXT_FIELDS:
            if isinstance(post.get(key), str):
                _check_number(f"characters in {key}", len(post[key]), self._settings.max_length)
        image = post.get("image")
        return len(image) if isinstance(image, list) else int(image is not None)

    def _decode(self, parsed: AnnotateRequest, files: Files) -> list[list[BytesImage | Fetch]]:
        """Return the images of each post, or what fetches them."""
        return [self._images_of(i, post.images, files) for i, post in enumerate(parsed.posts)]

    def _images_of(self, i: int, images: list[str], files: Files) -> list[BytesImage | Fetch]:
        with located(f"posts.{i}.image"):
            return [self._image(image, files) for image in images]

    def _image(self, reference: str, files: Files) -> BytesImage | Fetch:
        if reference.startswith(ATTACHMENT):
            name = reference.removeprefix(ATTACHMENT)
            if name not in files:
                raise HTTPException(422, f"The request has no file {name[:80]!r}.")
            content = files[name]
        elif is_data_uri(reference):
            try:
                content = decode_data_uri(reference)
            except ImageError as error:
                raise HTTPException(422, f"{error}.") from None
        elif URL.match(reference):
            if self._web is None:
                raise HTTPException(422, "a URL: fetched only with --allow-urls.")
            return partial(self._web.open, reference)
        else:
            try:
                # The command base64 breaks lines, which the decoder refuses.
                packed = reference.encode("ascii").translate(None, WHITESPACE)
                content = base64.b64decode(packed, validate=True)
            except ValueError:
                raise HTTPException(
                    422, f"neither base64, a data URI nor {ATTACHMENT}NAME."
                ) from None
        _check_number("bytes of an image", len(content), self._limits.bytes)
        return BytesImage(content, self._limits)


def _by_name(files: list[tuple[str, bytes]]) -> Files:
    named = dict(files)
    if len(named) < len(files):
        raise HTTPException(422, "The form has two files of the same field.")
    return named


def _unused(name: str, remedy: str) -> HTTPException:
    """The error for a file of a form that belongs to no post."""
    return HTTPException(422, f"The file of the field {name[:80]!r} is not used: {remedy}.")


async def _in_thread_if_large(n_bytes: int, function: Any, *arguments: Any) -> Any:
    if n_bytes < LARGE:
        return validated(function, *arguments)
    return await anyio.to_thread.run_sync(validated, function, *arguments)


def _check_number(what: str, found: int, limit: int) -> None:
    if found > limit:
        raise too_many(what, found, limit)
