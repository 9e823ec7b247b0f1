"""The page in the browser, and the documentation of the API."""

from __future__ import annotations

import json
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..about import __version__
from ..visualize.explain_page import N_COLORS
from .api_types import EXAMPLE
from .server_settings import ServerSettings

# Of the page itself: nothing from elsewhere, nothing inline, no frame around it.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI sets inline styles.
DOCS_POLICY = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


def add_page(app: FastAPI, model: str, labels: list[str], settings: ServerSettings) -> None:
    """Add the page and the documentation of the API, with all files that they load."""
    environment = Environment(
        loader=PackageLoader("spacy_mner.serve"), autoescape=True, undefined=StrictUndefined
    )
    browser_settings = {
        "colors": {label: i % N_COLORS for i, label in enumerate(labels)},
        "maxLength": settings.max_length,
        "maxImage": min(settings.task.image_limits.bytes, settings.max_body),
    }
    values = {
        "version": __version__,
        "model": model,
        "labels": labels,
        "example": EXAMPLE,
        "settings": json.dumps(browser_settings),
    }
    pages = {
        "/": (environment.get_template("page.html").render(values), PAGE_POLICY),
        "/docs": (environment.get_template("docs.html").render(values), DOCS_POLICY),
    }

    def add(path: str, page: str, policy: str) -> None:
        headers = {"Content-Security-Policy": policy}

        @app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)
        async def show() -> HTMLResponse:
            return HTMLResponse(page, headers=headers)

    for path, (page, policy) in pages.items():
        add(path, page, policy)
    # The page has the styles of entities and attention of the page of `explain`.
    folders = {
        "/static": files("spacy_mner.serve") / "static",
        "/shared": files("spacy_mner.visualize") / "templates",
        "/swagger": files("fastapi_offline") / "static",
    }
    for path, folder in folders.items():
        app.mount(path, StaticFiles(directory=str(folder)), name=path)
