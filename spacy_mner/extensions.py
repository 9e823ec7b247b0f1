"""The extension attributes of Doc and Span, and their serialization in a DocBin.

Set by the user: `doc._.image`, `doc._.image_features`, `doc._.image_objects` (a list of labels, or
of mappings with "label" and optional "score", "box" and "vector"; see `images.image_objects`) and
`doc._.image_text` (text about the image, such as a caption; a string, or TypeError).
Set by the converter of a corpus: `doc._.annotated_labels`, the entity labels that the corpus
annotates; of any other label it is unknown whether the post has entities. None: all labels.
Set by the component: `doc._.modality_attention`, `doc._.image_attention`, `doc._.image_status` and
`span._.score`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.tokens import Doc, Span

DOC_ATTRIBUTES = (
    "image",
    "image_features",
    "image_objects",
    "image_text",
    "annotated_labels",
    "modality_attention",
    "image_attention",
    "image_status",
)

# Keys of doc.user_data, set by corpus readers: the post's name in the corpus, and the probability
# that its images are masked in a training step. Dropout is drawn per step and not by the reader,
# because spaCy reads a corpus once: the same posts would lose their images in every epoch.
POST_ID = "spacy_mner.post_id"
IMAGE_DROPOUT = "spacy_mner.image_dropout"

# The attributes that give a post an image.
IMAGE_ATTRIBUTES = ("image", "image_features", "image_objects")
# The key of the attribute `image_text` in doc.user_data; spaCy types keys as strings.
IMAGE_TEXT: Any = ("._.", "image_text", None, None)


def register() -> None:
    """Add the attributes to Doc and Span unless they exist.

    The msgpack codecs are registered here and not by entry points of srsly, which are loaded while
    spaCy itself is imported.
    """
    srsly.msgpack_encoders("spacy_mner.image", func=encode)
    srsly.msgpack_decoders("spacy_mner.image", func=decode)
    for name in DOC_ATTRIBUTES:
        if not Doc.has_extension(name):
            Doc.set_extension(name, **_OPTIONS.get(name, {"default": None}))
    if not Span.has_extension("score"):
        Span.set_extension("score", **_valid_while("score", _label_of))


def _image_text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError(
            f"doc._.image_text takes a string or None, not {type(value).__name__}; "
            "several captions are joined by line breaks."
        )
    return value


def _annotated_labels(value: Any) -> list[str] | None:
    labels = value if value is None else sorted(value)
    if isinstance(value, str) or not all(isinstance(label, str) for label in labels or ()):
        raise TypeError(f"doc._.annotated_labels takes a list of labels or None, not {value!r}.")
    return labels


def _checked(name: str, check: Callable[[Any], Any]) -> dict[str, Any]:
    """Getter and setter of an attribute of Docs whose values `check` converts or refuses."""
    return {"getter": partial(_get, name=name), "setter": partial(_set, name=name, check=check)}


def _get(doc: Doc, *, name: str) -> Any:
    return doc.user_data.get(_key(doc, name))


def _set(doc: Doc, value: Any, *, name: str, check: Callable[[Any], Any]) -> None:
    doc.user_data[_key(doc, name)] = check(value)


def token_offsets(doc: Doc) -> np.ndarray:
    """The start and end of each token in characters, int32 [n_tokens, 2]."""
    offsets = [(token.idx, token.idx + len(token)) for token in doc]
    return np.asarray(offsets, np.int32).reshape(-1, 2)


def computed_attention(doc: Doc) -> tuple[np.ndarray | None, list[dict[str, Any] | None]]:
    """Token offsets, and the `modality_attention` and `image_attention` computed for these tokens.

    Also available after a later component has merged or split tokens, when the attributes are None.
    """
    names = ("modality_attention", "image_attention")
    entries = [doc.user_data.get(_key(doc, name)) or (None, None) for name in names]
    offsets = next((offsets for _, offsets in entries if offsets is not None), None)
    return offsets, [value for value, _ in entries]


def _valid_while(name: str, state: Callable[[Any], Any]) -> dict[str, Any]:
    """Getter and setter of an attribute that is None once `state(doc or span)` has changed.

    A later component may merge tokens or replace the label of an entity: what was computed for the
    earlier tokens or label then no longer applies. Value and state are one entry of `user_data`.
    """
    # Partial functions, because closures cannot be pickled for spawned processes.
    settings: dict[str, Any] = {"name": name, "state": state}
    return {"getter": partial(_get_valid, **settings), "setter": partial(_set_valid, **settings)}


def _get_valid(owner: Doc | Span, *, name: str, state: Callable[[Any], Any]) -> Any:
    entry = _doc_of(owner).user_data.get(_key(owner, name))
    return entry[0] if entry and np.array_equal(entry[1], state(owner)) else None


def _set_valid(owner: Doc | Span, value: Any, *, name: str, state: Callable[[Any], Any]) -> None:
    data, key = _doc_of(owner).user_data, _key(owner, name)
    if value is None:
        data.pop(key, None)
    else:
        data[key] = (value, state(owner))


def _label_of(span: Span) -> str:
    return span.label_


def _doc_of(owner: Doc | Span) -> Doc:
    return owner if isinstance(owner, Doc) else owner.doc


def _key(owner: Doc | Span, name: str) -> Any:
    """The key of an attribute in `user_data`, in the form that spaCy shifts when it joins Docs."""
    bounds = (None, None) if isinstance(owner, Doc) else (owner.start_char, owner.end_char)
    return ("._.", name, *bounds)


# The other attributes take many types of values, which are validated when they are used.
_OPTIONS: dict[str, dict[str, Any]] = {
    "image_text": _checked("image_text", _image_text),
    "annotated_labels": _checked("annotated_labels", _annotated_labels),
    "modality_attention": _valid_while("modality_attention", token_offsets),
    "image_attention": _valid_while("image_attention", token_offsets),
}


def has_image(doc: Doc) -> bool:
    """Whether the post has an image: a reference, a descriptor, or objects.

    Text about an image (`doc._.image_text`) does not count.
    """
    return any(has_value(doc, name) for name in IMAGE_ATTRIBUTES)


def has_value(doc: Doc, name: str) -> bool:
    """Whether an attribute of the post has a value; an empty list has none."""
    value = doc._.get(name)
    return bool(value) if isinstance(value, list | tuple) else value is not None


def has_image_text(doc: Doc) -> bool:
    """Whether the post has text about an image."""
    text = doc._.image_text  # a DocBin may hold any value
    return isinstance(text, str) and bool(text.strip())


def copy_image(source: Doc, target: Doc) -> None:
    """Copy the image attributes of a post, and the text about the image."""
    for name in IMAGE_ATTRIBUTES:
        target._.set(name, source._.get(name))
    # Not through the validating setter: a DocBin may hold any value.
    target.user_data[IMAGE_TEXT] = source._.image_text


def drop_image(doc: Doc) -> None:
    """Remove the image attributes of a post, and the text about the image."""
    for name in (*IMAGE_ATTRIBUTES, "image_text"):
        doc._.set(name, None)


def encode(value: Any, chain: Any = None) -> Any:
    """msgpack encoder for paths and PIL images.

    A PIL image is encoded as the RGB pixels that its encoder would see, so that predictions are
    the same before and after.
    """
    if isinstance(value, Path):
        return {"__mner_path__": str(value)}
    # By the name of the class, so that Pillow is not imported for a Doc without images.
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
    """A PIL image or uint8 array as a PNG of its RGB pixels.

    Empty for an image that cannot be loaded, which is masked when it is used.
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
    """The PNG image, or its bytes if they are not one; such an image is masked when it is used."""
    from PIL import Image

    try:
        # No other format: some, such as EPS, are programs.
        return Image.open(io.BytesIO(png), formats=["PNG"])
    except Exception:
        return png
