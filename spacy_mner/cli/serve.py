"""`spacy-mner serve`: a web page and a JSON API."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from ..serve.server_settings import ServerSettings
from .console import user_errors
from .options import AllowUrls, Code, GpuId, MaxMegapixels, Model, check_images_root


def serve_cli(
    model: Model,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all networks.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8000,
    allow_urls: AllowUrls = False,
    max_megapixels: MaxMegapixels = ServerSettings.max_megapixels,
    max_megabytes: Annotated[
        float, typer.Option(min=0, help="Of an image; a larger one is refused (413).")
    ] = ServerSettings.max_megabytes,
    max_body_megabytes: Annotated[
        float, typer.Option(min=0, help="Of a request; a larger one is refused (413).")
    ] = ServerSettings.max_body_megabytes,
    max_length: Annotated[
        int, typer.Option(min=1, help="Characters of a post; a longer one is refused (413).")
    ] = ServerSettings.max_length,
    max_posts: Annotated[
        int, typer.Option(min=1, help="Posts of a request; one with more is refused (413).")
    ] = ServerSettings.max_posts,
    n_process: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="2, on a GPU 1",
            help="Processes, each with its own pipeline.",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Posts of all requests that are computed together.")
    ] = ServerSettings.batch_size,
    max_wait: Annotated[
        float, typer.Option(min=0, help="Milliseconds that a request waits for others.")
    ] = 1000 * ServerSettings.max_wait,
    max_queue: Annotated[
        int,
        typer.Option(min=1, help="Posts that wait, at least --max-posts; beyond: refused (503)."),
    ] = ServerSettings.max_queue,
    timeout: Annotated[
        float,
        typer.Option(
            min=1, help="Seconds for a request to arrive, then for the images of its URLs."
        ),
    ] = ServerSettings.timeout,
    label_studio_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Label Studio that asks for predictions; its images are fetched."
        ),
    ] = None,
    label_studio_token: Annotated[
        str | None,
        typer.Option(
            envvar="LABEL_STUDIO_API_KEY",
            show_default=False,
            help="Its access token; give it by the environment variable.",
        ),
    ] = None,
    images_root: Annotated[
        Path | None, typer.Option(help="Folder of the local files of Label Studio.")
    ] = None,
    code: Code = None,
    gpu_id: GpuId = -1,
) -> None:
    """Serve a web page and a JSON API for a pipeline, until SIGTERM or Ctrl-C.

    Posts and images are neither logged nor stored. Requests in flight are finished on SIGTERM.
    """
    # The server has handlers of its own, and raises the signal again when it has shut down.
    with _handling_signals(_exit), user_errors():
        try:
            from ..serve.application import AnnotationService, build_application
            from ..serve.http_server import make_server, run_server
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("spacy_mner"):
                raise
            raise UsageError(
                f"The command serve needs the package {error.name}: pip install 'spacy-mner[serve]'"
            ) from error

        check_images_root(images_root)
        with _listen(host, port) as listening:
            settings = ServerSettings(
                model=model,
                code=code,
                gpu_id=gpu_id,
                allow_urls=allow_urls,
                max_megapixels=max_megapixels,
                max_megabytes=max_megabytes,
                max_body_megabytes=max_body_megabytes,
                max_length=max_length,
                max_posts=max_posts,
                n_process=n_process,
                batch_size=batch_size,
                max_wait=max_wait / 1000,
                max_queue=max_queue,
                timeout=timeout,
                label_studio_url=label_studio_url,
                label_studio_token=label_studio_token,
                images_root=images_root,
            )
            # A process that starts needs its parent: the signal is obeyed when all have started.
            received: list[int] = []
            with _handling_signals(lambda number, _: received.append(number)):
                app = build_application(AnnotationService(settings))
            if received:
                _exit()
            run_server(make_server(app, timeout), listening)


@contextmanager
def _handling_signals(handler: Callable[..., object]) -> Iterator[None]:
    """Handle SIGTERM and SIGINT until the context ends."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, previous in zip(numbers, before, strict=True):
            signal.signal(number, previous)


def _exit(*_: Any) -> None:
    sys.exit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise UsageError(
            f"Port {port} of {host} is in use: choose another one with --port, or 0 for any that "
            "is free."
        ) from error
