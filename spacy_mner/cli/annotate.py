"""`spacy-mner annotate`: bulk annotation of a file of posts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..utils.text import pluralize, printable
from .console import interruptible, user_errors
from .options import AllowUrls, BatchSize, Code, GpuId, MaxMegapixels, Model, check_images_root

if TYPE_CHECKING:
    from ..annotate.engines import Engine
    from ..annotate.run import ProgressCallbacks
    from ..annotate.statistics import Statistics

# Exit code if posts failed; the output is complete and contains their errors.
SOME_FAILED = 3
UNOPENED = {"unreadable", "absent"}


class EngineChoice(str, Enum):
    """Where posts are annotated."""

    local = "local"
    ray = "ray"


class QuotingChoice(str, Enum):
    """How quotes in CSV and TSV are read."""

    standard = "standard"
    none = "none"


def annotate_cli(
    model: Model,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Posts: .jsonl, .csv, .tsv or .parquet; - for JSONL on standard input.",
        ),
    ],
    output: Annotated[
        str,
        typer.Argument(metavar="OUTPUT", help="The same rows with entities, in the same formats."),
    ],
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    image: Annotated[
        str, typer.Option(help="Column of the image, or of a list of them.")
    ] = "image",
    image_text: Annotated[str, typer.Option(help="Column of text about the image.")] = "image_text",
    image_features: Annotated[
        str, typer.Option(help="Column of the image's descriptor.")
    ] = "image_features",
    image_objects: Annotated[
        str, typer.Option(help="Column of the objects in the image.")
    ] = "image_objects",
    quoting: Annotated[
        QuotingChoice | None,
        typer.Option(
            help="Whether quotes in CSV and TSV enclose cells (standard) or are plain text (none). "
            "By default standard; an input that may have been written otherwise is refused."
        ),
    ] = None,
    images_root: Annotated[
        Path | None,
        typer.Option(help="Folder of the image paths; without it no file is opened."),
    ] = None,
    allow_urls: AllowUrls = False,
    max_megapixels: MaxMegapixels = 32,
    max_megabytes: Annotated[
        float, typer.Option(min=0, help="Of an image file; a larger one is masked.")
    ] = 20,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention", help="Add the attention of each token over modalities or image regions."
        ),
    ] = False,
    prefix: Annotated[str, typer.Option(help="Prefix of the names of the added columns.")] = "",
    max_length: Annotated[
        int, typer.Option(min=1, help="Characters of a post; a longer one is an error.")
    ] = 5_000,
    batch_size: BatchSize = 128,
    n_process: Annotated[int, typer.Option(min=1, help="Processes, or Ray workers.")] = 1,
    engine: Annotated[
        EngineChoice, typer.Option(help="This machine, or a Ray cluster.")
    ] = EngineChoice.local,
    code: Code = None,
    gpu_id: GpuId = -1,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace OUTPUT and the chunks of another unfinished run."),
    ] = False,
) -> None:
    """Annotate the posts of a file in bulk. After an interruption, run the same command again.

    A post that fails is written with its error. Exit codes: 0 success; 1 the command cannot run;
    3 success, but some posts failed; 130 interrupted.
    """
    with (
        user_errors(),
        interruptible("with the remaining posts"),
        interrupt_on_sigterm(),
    ):
        from ..annotate.run import annotate
        from ..annotate.task import Columns, Task

        check_images_root(images_root)
        if code is not None and not code.is_file():
            raise UsageError(f"--code {code}: there is no such file.")
        task = Task(
            model=model,
            columns=Columns(text, image, image_text, image_features, image_objects),
            quoting=None if quoting is None else quoting.value,
            code=code and code.absolute(),
            images_root=images_root,
            allow_urls=allow_urls,
            max_megapixels=max_megapixels,
            max_megabytes=max_megabytes,
            attention=attention,
            prefix=prefix,
            max_length=max_length,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )
        with progress() as callbacks:
            statistics = annotate(
                task, source, output, engine_of(engine, n_process), force=force, callbacks=callbacks
            )
    show(statistics, output)
    if images_root is None and statistics.images and statistics.images.keys() <= UNOPENED:
        typer.echo("No image was opened: --images-root names the folder of their paths.", err=True)
    if statistics.failed:
        raise typer.Exit(SOME_FAILED)


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM too, so that the command ends as after Ctrl-C."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def progress() -> Iterator[ProgressCallbacks]:
    """A progress bar on standard error, if that is a terminal."""
    from tqdm import tqdm

    from ..annotate.run import ProgressCallbacks

    with tqdm(unit=" posts", unit_scale=False, disable=None, smoothing=0.05) as bar:

        def on_start(n_rows: int | None, n_finished: int) -> None:
            if n_finished:
                typer.echo(
                    f"{pluralize(n_finished, 'post')} finished before; continuing.", err=True
                )
            bar.reset(n_rows)
            bar.update(n_finished)
            # Exclude posts of an earlier run from the rate.
            bar.initial = n_finished

        yield ProgressCallbacks(
            on_start=on_start,
            on_chunk=lambda statistics: bar.update(statistics.posts),
            on_warning=lambda message: typer.echo(printable(message), err=True),
        )


def engine_of(choice: EngineChoice, n_process: int) -> Engine:
    """The engine that the options select."""
    from ..annotate import engines

    if choice is EngineChoice.ray:
        from ..annotate.engines.ray import ray_data

        return ray_data(n_process)
    return engines.inline if n_process == 1 else engines.processes(n_process)


def show(statistics: Statistics, output: str) -> None:
    """Print the statistics on standard error, as standard output may contain the posts."""
    lines = [f"{pluralize(statistics.posts, 'post')} in {output}"]
    for name, counts in (("entities", statistics.entities), ("images", statistics.images)):
        if counts:
            listed = ", ".join(f"{kind} {n:,}" for kind, n in counts.most_common())
            lines.append(f"{name}: {listed}")
    if statistics.failed:
        lines.append(f"{pluralize(statistics.failed, 'post')} failed. The first errors:")
        lines += [f"  row {row:,}: {printable(error[:200])}" for row, error in statistics.errors]
    typer.echo("\n".join(lines), err=True)
