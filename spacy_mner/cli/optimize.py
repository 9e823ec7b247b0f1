"""`spacy-mner optimize`: the same pipeline for fast inference on a CPU."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..errors import UsageError
from ..utils.atomic_file import refuse_input_as_output
from .console import user_errors
from .options import Code, Model


class PrecisionChoice(str, Enum):
    """The precision of a text encoder."""

    int8 = "int8"
    float32 = "float32"


def optimize_cli(
    model: Model,
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the optimized pipeline.")
    ],
    text_encoder: Annotated[
        PrecisionChoice,
        typer.Option(
            help="Precision of a Transformer.v1: int8 is faster, float32 predicts the same as "
            "MODEL."
        ),
    ] = PrecisionChoice.int8,
    code: Code = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that exists.")
    ] = False,
) -> None:
    """Write the same pipeline for fast inference on a CPU: its encoders on ONNX Runtime.

    Writing needs the extra `onnx`, running it the package onnxruntime, and tokenizers for a text
    encoder. The result cannot be trained further. Compare both with `spacy-mner evaluate`.
    """
    from ..pipeline.load_for_command import load_pipeline
    from ..pipeline.optimize import optimize

    with user_errors():
        if output.exists() and not force:
            raise UsageError(f"{output} exists. Name another folder, or use --force.")
        # MODEL can still be trained; its optimized form cannot.
        refuse_input_as_output(Path(model), output)
        nlp = load_pipeline(model, code=code)
        optimize(nlp, text_encoder.value).to_disk(output)
    msg.good(f"Wrote {output}. Score it as MODEL is scored: spacy-mner evaluate {output} …")
