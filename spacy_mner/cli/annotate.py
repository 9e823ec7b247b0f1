"""`spacy-mner annotate`: entities for a file of posts, however long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import CorpusError
from ..utils.text import counted, printable
from .console import interruptible, user_errors

if TYPE_CHECKING:
    from ..annotate.engines import Engine
    from ..annotate.run import Listener
    from ..annotate.tally import Tally

# The exit code of a run in which posts failed; the output is whole, their errors are in it.
SOME_FAILED = 3


class EngineChoice(str, Enum):
    """What does the work."""

    local = "local"
    ray = "ray"


def annotate_cli(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Package name or folder of a pipeline.")
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="Posts: .jsonl, .csv, .tsv or .parquet; - for JSONL by a pipe."
        ),
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="The same rows with their entities; likewise.")
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
    images_root: Annotated[
        Path | None,
        typer.Option(help="Folder below which image paths lead; without it none is opened."),
    ] = None,
    allow_urls: Annotated[
        bool, typer.Option("--allow-urls", help="Fetch images of http and https URLs.")
    ] = False,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention", help="Write what each token attends to: modalities, or regions."
        ),
    ] = False,
    prefix: Annotated[str, typer.Option(help="Of the names of the columns that are added.")] = "",
    max_length: Annotated[
        int, typer.Option(min=1, help="Characters of a post; a longer one fails.")
    ] = 5_000,
    batch_size: Annotated[int, typer.Option(min=1, help="Posts per batch.")] = 128,
    n_process: Annotated[int, typer.Option(min=1, help="Processes, or workers of Ray.")] = 1,
    engine: Annotated[
        EngineChoice, typer.Option(help="This machine, or a Ray cluster.")
    ] = EngineChoice.local,
    gpu_id: Annotated[
        int, typer.Option("--gpu-id", "-g", min=-1, help="GPU to use, -1 for the CPU.")
    ] = -1,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUTPUT and what another run left.")
    ] = False,
) -> None:
    """Annotate the posts of a file in bulk, with progress; interrupted, the same command goes on.

    A post that fails is written with its error. Exit codes: 0 all is done; 1 it cannot run as
    asked; 3 all is done, and some posts failed; 130 interrupted.
    """
    with user_errors(to_stderr=True), interruptible("with what is not done"):
        from ..annotate.run import annotate
        from ..annotate.task import Columns, Task

        if images_root is not None and not images_root.is_dir():
            raise CorpusError(f"There is no folder {images_root}; --images-root names one.")
        task = Task(
            model=model,
            columns=Columns(text, image, image_text, image_features, image_objects),
            images_root=images_root,
            allow_urls=allow_urls,
            attention=attention,
            prefix=prefix,
            max_length=max_length,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )
        with progress() as listener:
            tally = annotate(
                task, source, output, chosen(engine, n_process), force=force, listener=listener
            )
    show(tally, output)
    if images_root is None and tally.images and set(tally.images) <= {"unreadable", "absent"}:
        typer.echo("No image was opened: --images-root names the folder of their paths.", err=True)
    if tally.failed:
        raise typer.Exit(SOME_FAILED)


@contextmanager
def progress() -> Iterator[Listener]:
    """A bar on standard error with rate and time left; only where a terminal shows it."""
    from tqdm import tqdm

    from ..annotate.run import Listener

    with tqdm(unit=" posts", unit_scale=False, disable=None, smoothing=0.05) as bar:

        def begun(rows: int | None, done: int) -> None:
            if done:
                typer.echo(f"{counted(done, 'post')} done already, going on.", err=True)
            bar.reset(rows)
            bar.update(done)
            # The rate is that of this process; what was there has taken it no time.
            bar.initial = done

        def told(words: str) -> None:
            typer.echo(printable(words), err=True)

        yield Listener(begun, lambda tally: bar.update(tally.posts), told)


def chosen(engine: EngineChoice, n_process: int) -> Engine:
    """The engine that the options name."""
    from ..annotate import engines

    if engine is EngineChoice.ray:
        from ..annotate.engines.ray import ray_data

        return ray_data(n_process)
    return engines.inline if n_process == 1 else engines.processes(n_process)


def show(tally: Tally, output: str) -> None:
    """Say what became of the posts; on standard error, as standard output may be the posts."""
    lines = [f"{counted(tally.posts, 'post')} in {output}"]
    for name, counts in (("entities", tally.entities), ("images", tally.images)):
        if counts:
            listed = ", ".join(f"{kind} {n:,}" for kind, n in counts.most_common())
            lines.append(f"{name}: {listed}")
    if tally.failed:
        lines.append(f"{counted(tally.failed, 'post')} failed; each says why. The first:")
        lines += [f"  row {row:,}: {printable(error[:200])}" for row, error in tally.errors]
    typer.echo("\n".join(lines), err=True)
