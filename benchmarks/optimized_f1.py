"""F1 of pipelines before and after `spacy-mner optimize`, as a Markdown table.

    python benchmarks/optimized_f1.py DATA.spacy MODEL [MODEL …] [--images-root DIR]

Several models are the seeds of one; the last row is their mean difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.evaluation.evaluate import evaluate
from spacy_mner.pipeline.load_for_command import load_pipeline
from spacy_mner.pipeline.optimize import optimize


def main(
    data: Annotated[Path, typer.Argument(help="Annotated posts.")],
    models: Annotated[list[str], typer.Argument(help="Pipelines that are not optimized.")],
    images_root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
) -> None:
    """Print the F1 of pipelines before and after `spacy-mner optimize`."""
    rows = []
    print("| pipeline | as trained | ONNX float32 | ONNX int8 |\n|-|-|-|-|")
    for model in models:
        nlp = load_pipeline(model)
        scores = []
        for one in (nlp, optimize(nlp, "float32"), optimize(nlp, "int8")):
            found = evaluate(one, read_docs(data, one.vocab, images_root))
            scores.append(100 * found["ents_f"])
        rows.append(scores)
        print("| {} | {:.2f} | {:.2f} | {:.2f} |".format(model, *scores), flush=True)
    table = np.array(rows)
    differences = (table[:, 1:] - table[:, :1]).mean(0)
    print("| mean difference | | {:+.2f} | {:+.2f} |".format(*differences))


if __name__ == "__main__":
    typer.run(main)
