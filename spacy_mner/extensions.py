"""The attributes a user touches, and how their values travel in a DocBin.

`doc._.image`, `doc._.image_features`, `doc._.image_objects` (a list of labels, or of mappings with
"label" and perhaps "score", "box" and "vector"; see `images.objects`) and `doc._.image_text` (text
about the image, of which a caption is one kind; a string, or TypeError) are set by the user;
`doc._.modality_attention`, `doc._.image_attention`, `doc._.image_status` and `span._.score` by
the component.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import srsly
from spacy.tokens import Doc, Span

DOC_ATTRIBUTES = (
    "image",
    "image_features",
    "image_objects",
    "image_text",
    "modality_attention",
    "image_attention",
    "image_status",
)
SPAN_ATTRIBUTES = ("score",)

# Keys of doc.user_data, set by corpus readers: the post's name in the corpus, and the probability
# that its images are masked in a training step. Dropout is drawn per step and not by the reader,
# because spaCy reads a corpus once: the same posts would lose their images in every epoch.
POST_ID = "spacy_mner.post_id"
IMAGE_DROPOUT = "spacy_mner.image_dropout"

# What makes a post one with an image.
IMAGE_ATTRIBUTES = ("image", "image_features", "image_objects")
# Where spaCy keeps the attribute `image_text`; by its own types a key is a string.
IMAGE_TEXT: Any = ("._.", "image_text", None, None)


def register() -> None:
    """Add the attributes to Doc and Span, leaving alone any that are there already.

    Codecs are registered here and not by srsly's entry points: those are loaded while spaCy itself
    is being imported, when no Doc exists yet.
    """
    srsly.msgpack_encoders("spacy_mner.image", func=encode)
    srsly.msgpack_decoders("spacy_mner.image", func=decode)
    for name in DOC_ATTRIBUTES:
        if not Doc.has_extension(name):
            Doc.set_extension(name, **_OPTIONS.get(name, {"default": None}))
    for name in SPAN_ATTRIBUTES:
        if not Span.has_extension(name):
            Span.set_extension(name, default=None)


def _get_image_text(doc: Doc) -> Any:
    return doc.user_data.get(IMAGE_TEXT)


def _set_image_text(doc: Doc, value: str | None) -> None:
    if not isinstance(value, str | None):
        raise TypeError(
            f"doc._.image_text takes a string or None, not {type(value).__name__}; "
            "several captions are joined by line breaks."
        )
    doc.user_data[IMAGE_TEXT] = value


# The other attributes take many kinds of values: what is wrong with one shows when it is used.
_OPTIONS = {"image_text": {"getter": _get_image_text, "setter": _set_image_text}}


def has_image(doc: Doc) -> bool:
    """Whether the post brings an image: a reference, a descriptor, or the objects in it.

    Text about an image (`doc._.image_text`, such as a caption) does not make one.
    """
    return any(has_value(doc, name) for name in IMAGE_ATTRIBUTES)


def has_value(doc: Doc, name: str) -> bool:
    """Whether an attribute of the post holds anything: an empty list of images is none."""
    value = doc._.get(name)
    is_empty = isinstance(value, list | tuple) and not value
    return value is not None and not is_empty


def has_image_text(doc: Doc) -> bool:
    """Whether the post brings text about an image."""
    text = doc._.image_text  # a file may have brought anything
    return isinstance(text, str) and bool(text.strip())


def copy_image(source: Doc, target: Doc) -> None:
    """Give `target` the image of `source`, and the text about it."""
    for name in IMAGE_ATTRIBUTES:
        target._.set(name, source._.get(name))
    # Not through the check: a file may have brought anything, which is no reason to stop here.
    target.user_data[IMAGE_TEXT] = source._.image_text


def drop_image(doc: Doc) -> None:
    """Take the image away from a post, and the text about it."""
    for name in (*IMAGE_ATTRIBUTES, "image_text"):
        doc._.set(name, None)


def encode(value: Any, chain: Any = None) -> Any:
    """msgpack encoder for what `doc._.image` may hold and msgpack does not know.

    A PIL image travels as the RGB that a person sees, so that a post is answered the same before
    and after.
    """
    if isinstance(value, Path):
        return {"__mner_path__": str(value)}
    # Asked of the class alone, so that Pillow is not imported for a Doc without images.
    if any(base.__module__ == "PIL.Image" for base in type(value).__mro__):
        return {"__mner_image__": image_as_png(value)}
    return value if chain is None else chain(value)


def decode(value: Any, chain: Any = None) -> Any:
    """msgpack decoder: the inverse of `encode`."""
    if isinstance(value, dict):
        if isinstance(path := value.get("__mner_path__"), str):
            return Path(path)
        if isinstance(png := value.get("__mner_image__"), bytes):
            return _open(png)
    return value if chain is None else chain(value)


def image_as_png(image: Any) -> bytes:
    """A PIL image or uint8 array as a PNG of the RGB that a person sees.

    Empty for an image that cannot be loaded: where it is used, it is masked with that reason.
    """
    from PIL import Image

    from .errors import ImageError
    from .images.reference import open_image

    try:
        pixels = open_image(image, None).pixels()
    except ImageError:
        return b""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _open(png: bytes) -> Any:
    """The image, or its bytes where it is none: using them says what is wrong with it."""
    from PIL import Image

    try:
        # No other format, whatever a file brings: some are programs.
        return Image.open(io.BytesIO(png), formats=["PNG"])
    except Exception:
        return png
