"""F1 of pipelines before and after `spacy-mner optimize`, as a Markdown table.

    python benchmarks/optimized_f1.py MODEL [MODEL …] --data DATA.spacy [--data …]

Several models are the seeds of one. A `MODEL` that was trained with mixed precision computes in
bfloat16 where the CPU supports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from spacy_mner.corpus.docbin import read_docs
from spacy_mner.evaluation.evaluate import evaluate
from spacy_mner.pipeline.load_for_command import load_pipeline
from spacy_mner.pipeline.optimize import optimize


def main(
    models: Annotated[list[str], typer.Argument(help="Pipelines that are not optimized.")],
    data: Annotated[list[Path], typer.Option(help="Annotated posts; repeatable.")],
    images_root: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
) -> None:
    """Print the F1 of pipelines before and after `spacy-mner optimize`."""
    torch.set_num_threads(1)
    rows = []
    print("| pipeline | corpus | as trained | ONNX float32 | ONNX int8 |\n|-|-|-|-|-|")
    for model in models:
        nlp = load_pipeline(model)
        pipelines = (nlp, optimize(nlp, "float32"), optimize(nlp, "int8"))
        for path in data:
            found = [evaluate(one, read_docs(path, one.vocab, images_root)) for one in pipelines]
            rows.append([100 * scores["ents_f"] for scores in found])
            print(
                "| {} | {} | {:.2f} | {:.2f} | {:.2f} |".format(model, path, *rows[-1]), flush=True
            )
    trained, exact, quantized = np.array(rows).mean(0)
    print(f"| mean | | {trained:.2f} | {exact:.2f} | {quantized:.2f} ({quantized - exact:+.2f}) |")


if __name__ == "__main__":
    typer.run(main)
