"""`spacy-mner experiment`: a table of the paper on a corpus of one's own."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from ..errors import CorpusError
from ..utils.text import counted
from .console import interruptible, user_errors

if TYPE_CHECKING:
    from ..experiments.plan import Run
    from ..experiments.runner import Outcome


class SplitChoice(str, Enum):
    """Which split is scored."""

    dev = "dev"
    test = "test"


def experiment_cli(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="table1, table3, attention or ablation.")
    ],
    corpus: Annotated[
        Path,
        typer.Argument(
            metavar="CORPUS", help="Folder: train.spacy, dev.spacy (or valid.spacy), test.spacy."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of runs and tables.")],
    split: Annotated[
        SplitChoice, typer.Option(help="The split that is scored; dev always chooses the epoch.")
    ] = SplitChoice.dev,
    seeds: Annotated[str, typer.Option(help="One run for each.")] = "0,1,2",
    systems: Annotated[
        str, typer.Option(help="Train these rows alone, such as c,w; all by default.")
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Budget of a run; that of our config by default.")
    ] = None,
    vectors: Annotated[
        str | None,
        typer.Option(help="Word vectors, as `--paths.vectors`; a learned table if none."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="Text encoder of systems with a transformer, as `--paths.encoder`."),
    ] = None,
    images_root: Annotated[
        str | None, typer.Option(help="Folder from which relative image paths are taken.")
    ] = None,
    setting: Annotated[
        str, typer.Option(help="modern: our config; paper: sizes and optimizer of the paper.")
    ] = "modern",
    encoder_weights: Annotated[
        Path | None,
        typer.Option(help="File with the weights of the encoder of --setting paper."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs side by side; by default one a core, or one on a GPU."),
    ] = None,
    mixed_precision: Annotated[
        bool, typer.Option(help="Compute in bfloat16, on CUDA and on a CPU that can.")
    ] = False,
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU to use, -1 for the CPU.")] = -1,
    keep_models: Annotated[
        bool, typer.Option(help="Keep the model of every run, vectors and all, as model-best.")
    ] = False,
    note: Annotated[str, typer.Option(help="A line for the page: protocol, vectors, …")] = "",
) -> None:
    """Train the systems of a table over seeds, score them, and write the table into OUT.

    A finished run is never repeated; one that was interrupted starts over. The table is made of
    all finished runs in OUT that were asked the same, whatever their seeds.
    """
    from ..experiments.catalog import EXPERIMENTS
    from ..experiments.experiment import Options
    from ..experiments.plan import default_workers
    from ..experiments.runner import Listener, run_experiment
    from ..experiments.systems import find

    with user_errors(), interruptible("with what is not finished"):
        options = Options(
            corpus=corpus,
            output=output,
            split=split.value,
            seeds=parse_seeds(seeds),
            systems=tuple(filter(None, systems.split(","))),
            epochs=epochs,
            vectors=vectors or None,
            encoder=encoder or None,
            images_root=Path(images_root) if images_root else None,
            setting=setting,
            encoder_weights=encoder_weights,
            mixed_precision=mixed_precision,
            workers=workers or default_workers(gpu_id),
            gpu_id=gpu_id,
            keep_models=keep_models,
            note=note,
        )
        experiment = find(EXPERIMENTS, name, "experiment")
        failed = run_experiment(experiment, options, Listener(show_plan, show_start, show_outcome))
    typer.echo(f"Wrote {output / experiment.name}.md")
    if failed:
        again = "it" if len(failed) == 1 else "them"
        runs = counted(len(failed), "run")
        msg.fail(f"{runs} failed; the same command tries {again} again.", exits=1)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read "0,1,2", each once; raises CorpusError for anything else."""
    try:
        seeds = tuple(int(seed) for seed in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise CorpusError(f"--seeds takes numbers such as 0,1,2, not {text!r}.")
    return tuple(dict.fromkeys(seeds))


def show_plan(runs: list[Run]) -> None:
    """Say how much there is to do."""
    finished = [run for run in runs if run.result is not None]
    typer.echo(f"{counted(len(runs), 'run')}, {len(finished)} finished already")
    for run in finished:
        if run.job.keep_model and not (run.folder / "model-best").is_dir():
            msg.warn(f"{run.name} is finished without its model; delete {run.folder} to have it.")


def show_start(run: Run, number: int, of: int) -> None:
    """A line for each run that starts."""
    typer.echo(f"{_name(run)}  starts, {number} of {of}")


def show_outcome(outcome: Outcome) -> None:
    """A line for each run that ends."""
    name, result = _name(outcome.run), outcome.result
    if result is None:
        typer.echo(f"{name}  failed: {outcome.reason}")
        return
    f1, training = result["scores"]["on"]["ents_f"], result["training"]
    seconds = training["seconds_per_epoch"]["wall"] * training["epochs"]
    typer.echo(f"{name}  F1 {100 * (f1 or 0):.1f}  {seconds:,.0f} s")


def _name(run: Run) -> str:
    return f"{run.job.variant:<22} seed {run.job.seed}"
