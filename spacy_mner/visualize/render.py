"""Shows predicted posts in a notebook, or as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import is_in_jupyter

from ..errors import UsageError
from ..evaluation.evaluate import images_root_of
from .annotated_post import annotate_post, featurizers_of, image_encoder_of
from .annotated_text import annotate_entities
from .explain_page import render_page
from .thumbnails import collect_images

# Height of the frame in a notebook, in rem: of a post, and at most.
POST_HEIGHT, MAX_HEIGHT = 20, 60


def render(
    docs: Doc | Iterable[Doc], jupyter: bool | None = None, *, nlp: Language | None = None
) -> str | None:
    """Show predicted posts: their images, entities with scores, and attention.

    The page needs no network and no files: images are thumbnails within it. All data is escaped.

    docs: one or several, as a pipeline returned them; they are not changed.
    jupyter: display the page in a notebook and return None; None: where one is running.
    nlp: the pipeline that annotated them. It has the folder of relative image paths, the visual
        tags of images, and the names and places of regions; without it, paths are relative to the
        working directory, there are no tags, and regions are numbered.

    Returns the page as HTML. Raises UsageError for what is not a Doc.
    """
    several = isinstance(docs, Iterable) and not isinstance(docs, str | Doc)
    listed: list[Any] = list(docs) if several else [docs]
    for one in listed:
        if not isinstance(one, Doc):
            raise UsageError(
                f"render takes a Doc or several, not {type(one).__name__}: pass nlp(text)."
            )
    page = _page(listed, nlp)
    if not (is_in_jupyter() if jupyter is None else jupyter):
        return page
    from IPython.display import HTML, display

    # A frame of its own: neither the styles of the notebook nor those of the page leave it, and
    # its script has no access to the notebook.
    height = min(MAX_HEIGHT, POST_HEIGHT * max(1, page.count("<article")))
    frame = Markup('<div><iframe srcdoc="{}" sandbox="allow-scripts" style="{}"></iframe></div>')
    style = f"width: 100%; height: {height}rem; border: 0; resize: vertical"
    display(HTML(frame.format(page, style)))
    return None


def _page(docs: list[Doc], nlp: Language | None) -> str:
    featurizers = featurizers_of(nlp)
    folders = (None if nlp is None else images_root_of(nlp), None)
    found, thumbnails = collect_images(
        [doc._.image for doc in docs], image_encoder_of(featurizers), *folders
    )
    posts = [
        annotate_post(number, doc, annotate_entities(doc), images, featurizers, folders, source=doc)
        for number, (doc, images) in enumerate(zip(docs, found, strict=True), start=1)
    ]
    texts = [post.model for post in posts]
    return render_page("render.html", ["post_parts.js"], texts, thumbnails, posts=posts)
