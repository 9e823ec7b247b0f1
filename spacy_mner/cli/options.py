"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Package name or folder of a pipeline.")
]
Data = Annotated[Path, typer.Argument(metavar="DATA.spacy", help="Annotated posts.")]
ImagesRoot = Annotated[
    Path | None, typer.Option(help="Folder that relative image paths are resolved against.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Posts per batch.")]
GpuId = Annotated[
    int, typer.Option("--gpu-id", "-g", min=-1, help="GPU to use, or -1 for the CPU.")
]
AllowUrls = Annotated[
    bool, typer.Option("--allow-urls", help="Fetch images of http and https URLs.")
]
# Pillow itself opens no image above the maximum.
MaxMegapixels = Annotated[
    float, typer.Option(min=0, max=178, help="Of an image; a larger one is masked.")
]
Code = Annotated[
    Path | None,
    typer.Option(
        "--code",
        "-c",
        metavar="FILE",
        help="Python file to import first: it registers functions that the config names.",
    ),
]


def check_images_root(images_root: Path | None) -> None:
    """Raise UsageError for --images-root without a folder."""
    if images_root is not None and not images_root.is_dir():
        raise UsageError(f"--images-root {images_root}: there is no such folder.")
