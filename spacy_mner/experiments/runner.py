"""Runs an experiment: what is finished stays, what is not starts over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..annotate.lock import alone
from ..annotate.signals import terminable
from .experiment import Experiment, Options
from .page import write_page
from .plan import Run, asked_for, check_no_file, corpus_of, finished_runs, plan, prepare, suited
from .requirements import check_encoder, check_gpu, check_text_encoder, encoder_of
from .result import Result, read_result
from .run import CONSOLE

# Seconds between two looks at the runs that are at work, and that one may take to end.
LOOK = 0.1
TO_END = 5.0


@dataclass(frozen=True)
class Outcome:
    """Of one run: its result, or why there is none."""

    run: Run
    result: Result | None
    reason: str = ""


@dataclass(frozen=True)
class Listener:
    """Who is told how an experiment goes on.

    planned: of all runs that are asked for, before the first starts; started: of each that starts,
    with its number from 1 and the number of those to do; ended: of each that ends.
    """

    planned: Callable[[list[Run]], None] = lambda runs: None
    started: Callable[[Run, int, int], None] = lambda run, number, of: None
    ended: Callable[[Outcome], None] = lambda outcome: None


def run_experiment(
    experiment: Experiment, options: Options, listener: Listener | None = None
) -> list[Outcome]:
    """Do the runs that are not finished, seed by seed, and write the page after each.

    The page is made of all finished runs in the folder that were asked the same, of whatever seed.
    Returns the outcomes that are failures. Raises CorpusError, before anything runs, where the
    corpus, the machine or the options are not what the experiment needs, or where a finished run
    was asked something else; and KeyboardInterrupt, when all runs have been ended, if it is
    interrupted or terminated.
    """
    listener = listener or Listener()
    experiment.check(options)
    corpus = corpus_of(experiment, options)
    experiment = suited(experiment, corpus)
    check_no_file(options.output)
    options.output.mkdir(parents=True, exist_ok=True)
    with terminable(), alone(options.output, "experiment") as inherited:
        runs = plan(experiment, options, corpus)
        asked = asked_for(experiment, options)
        wanted = [run for run in runs if run.job.variant in asked]
        todo = [run for run in wanted if run.result is None]
        _check_requirements(todo)

        def write() -> None:
            write_page(experiment, options, corpus, finished_runs(options.output, runs))

        listener.planned(wanted)
        write()
        failed = []
        try:
            with closing(_do(todo, options.workers, inherited, listener)) as outcomes:
                for outcome in outcomes:
                    if outcome.result is None:
                        failed.append(outcome)
                    else:
                        write()
                    listener.ended(outcome)
        except KeyboardInterrupt:
            write()
            raise
    return failed


def _check_requirements(runs: list[Run]) -> None:
    if runs:
        check_gpu(runs[0].job.gpu_id)
        check_text_encoder(runs[0].config)
    # One setting has one encoder, where it has any.
    for run in [run for run in runs if encoder_of(run.config) is not None][:1]:
        check_encoder(run.config)


def _do(
    runs: list[Run], workers: int, inherited: Sequence[int], listener: Listener
) -> Generator[Outcome, None, None]:
    """Do runs side by side; their outcomes as they come. Ends those at work when it is closed."""
    waiting = list(enumerate(runs, 1))
    working: list[tuple[Run, subprocess.Popen]] = []
    try:
        while waiting or working:
            while waiting and len(working) < workers:
                number, run = waiting.pop(0)
                listener.started(run, number, len(runs))
                working.append((run, _start(run, inherited)))
            time.sleep(LOOK)
            for run, process in [one for one in working if one[1].poll() is not None]:
                working.remove((run, process))
                yield _outcome(run, process.returncode)
    finally:
        _end([process for _, process in working])


def _start(run: Run, inherited: Sequence[int]) -> subprocess.Popen:
    """Start a run in a fresh process, whose words go into a file."""
    prepare(run)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(run.job.threads),
        "ANSI_COLORS_DISABLED": "1",
        "PYTHONUNBUFFERED": "1",
    }
    with (run.folder / CONSOLE).open("w", encoding="utf-8") as console:
        return subprocess.Popen(
            command_of(run),
            stdout=console,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=inherited,
        )


def command_of(run: Run) -> list[str]:
    """The command that does a run, which ends when this process does."""
    return [sys.executable, "-m", f"{__package__}.run", str(run.folder), str(os.getpid())]


def _end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _outcome(run: Run, code: int) -> Outcome:
    result = read_result(run.folder)
    if code == 0 and result is not None:
        return Outcome(run, result)
    console = run.folder / CONSOLE
    return Outcome(run, None, f"{_reason(console, code)} (see {console})")


def _reason(console: Path, code: int) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"
