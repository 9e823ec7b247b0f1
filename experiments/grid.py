"""Trains the systems of a table over seeds, scores them and writes the table as Markdown.

    python experiments/grid.py table1 CORPUS OUT --seeds 0,1,2 --paths.vectors vectors

CORPUS holds train.spacy, dev.spacy (or valid.spacy) and test.spacy. Further options override values
of the config, as with `spacy train`. A finished run (OUT/<system>/<seed>/result.json) is never
repeated, an interrupted one starts over. The table has all finished runs in OUT that have the same
settings, whatever their seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from click import ClickException
from filelock import FileLock, Timeout
from spacy.cli._util import parse_config_overrides
from spacy.util import dict_to_dot
from thinc.api import Config

from configs import (
    SETTINGS,
    TABLES,
    compose,
    missing_inputs,
    reads_images,
    set_budget,
    system_of,
)
from page import write_page
from run import CONFIG, JOB, RESULT
from spacy_mner.corpus.docbin import read_docs
from spacy_mner.errors import CorpusError, MNERError, UsageError
from spacy_mner.extensions import has_value
from vectors import write_pruned

COMMAND = (sys.executable, str(Path(__file__).parent / "run.py"))
LOG = "train.log"
ATTRIBUTES = ("image", "image_features", "image_objects", "image_text")
MAX_WORKERS = 8  # Each run holds the word vectors in memory.


@dataclass(frozen=True)
class Run:
    """A variant with a seed. `job` is what run.py reads; `job["identity"]` identifies the run."""

    folder: Path
    config: Config
    job: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.job['variant']:<26} seed {self.job['seed']}"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; `overrides` are dotted paths of the config with their values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--split", choices=("dev", "test"), default="dev", help="split to score")
    parser.add_argument("--systems", default="", help="comma-separated; all by default")
    parser.add_argument("--epochs", type=int, help="budget of a run; default: that of the config")
    parser.add_argument("--setting", choices=SETTINGS, default="modern")
    parser.add_argument("--keep-models", action="store_true")
    options = parse_runs(parser, words, "grid.py")
    known = {system_of(variant)[0] for variant in TABLES[options.table]["systems"]}
    options.systems = set(options.systems.split(",")) if options.systems else known
    if unknown := options.systems - known:
        parser.error(f"--systems: {options.table} has no {', '.join(sorted(unknown))}")
    if not options.workers:
        options.workers = 1 if options.gpu_id >= 0 else min(os.cpu_count() or 1, MAX_WORKERS)
    return options


def parse_runs(
    parser: argparse.ArgumentParser, words: Sequence[str], script: str
) -> argparse.Namespace:
    """Parse the options of a script, and those that all scripts have that train over seeds."""
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--workers", type=int, help="runs side by side; default: one per core")
    parser.add_argument("--gpu-id", type=int, default=-1)
    parser.add_argument("--note", default="", help="line for the page, such as the protocol")
    options, rest = parser.parse_known_args(words)
    try:
        options.seeds = sorted({int(seed) for seed in options.seeds.split(",")})
        overrides = parse_config_overrides(rest, env_var=None)
    except (ValueError, ClickException) as error:
        parser.error(f"{error}")
    # `spacy project` passes an empty string for a variable that is not set.
    options.overrides = {path: None if v == "" else v for path, v in overrides.items()}
    # The page names absolute folders by their last part.
    named = [Path(word).name if word.startswith(("/", "~", "..")) else word for word in words]
    options.command = shlex.join(["python", f"experiments/{script}", *named])
    return options


def plan(options: argparse.Namespace) -> tuple[list[Run], dict[str, str]]:
    """Return the runs of all systems, the first seed of every variant first.

    The second value maps the variants that the corpus lacks inputs for to these inputs.
    """
    splits = dict.fromkeys(("train", "dev", options.split))
    files = {split: find_split(options.corpus, split) for split in splits}
    docs = [doc for doc in read_docs(files["train"], spacy.blank("xx").vocab) if len(doc)]
    attributes = [name for name in ATTRIBUTES if any(has_value(doc, name) for doc in docs)]
    hashes = {split: hash_files(file) for split, file in files.items()}
    runs, left_out = [], {}
    for seed in options.seeds:
        for variant in TABLES[options.table]["systems"]:
            system, keep = system_of(variant)
            config = compose(system, options.setting, options.overrides, attributes)
            if missing := missing_inputs(config, attributes):
                left_out[variant] = missing
                continue
            paths = {**config["paths"], "train": str(files["train"]), "dev": str(files["dev"])}
            if options.table == "table3":
                paths["vectors"] = pruned_vectors(paths["vectors"], keep, options.output)
            config = config.merge({"paths": paths, "system": {"seed": seed}})
            epochs = set_budget(config, len(docs), options.epochs)
            job = {
                "variant": variant,
                "system": system,
                "seed": seed,
                "epochs": epochs,
                "training_posts": len(docs),
                "data": str(files[options.split]),
                "images_root": paths["images_root"],
                "reads_images": reads_images(config),
                "gpu_id": options.gpu_id,
                "keep_model": options.keep_models,
                "identity": identify(config, {**hashes, "split": options.split}),
            }
            runs.append(Run(options.output / variant / str(seed), config, job))
    if not options.systems & {run.job["system"] for run in runs}:
        reasons = " or ".join(dict.fromkeys(left_out.values()))
        raise CorpusError(f"No system can be trained: {options.corpus} lacks {reasons}.")
    return runs, left_out


def find_split(corpus: Path, split: str) -> Path:
    """Return the file of a split. Raises CorpusError if there is none."""
    names = [f"{split}.spacy", *(["valid.spacy"] if split == "dev" else [])]
    for name in names:
        if (corpus / name).is_file():
            return corpus / name
    raise CorpusError(f"No {' or '.join(names)} in {corpus}: `spacy-mner convert` writes it.")


def pruned_vectors(vectors: str | None, keep: float, output: Path) -> str:
    """Return the folder with a share of the word vectors, which is written if it does not exist."""
    if not vectors:
        raise UsageError("table3 removes pretrained word vectors: set --paths.vectors.")
    folder = output / "vectors" / f"keep{100 * keep:.0f}"
    if keep < 1.0:
        write_pruned(vectors, folder, keep)
    return str(folder) if keep < 1.0 else vectors


def identify(config: Config, data: dict[str, str]) -> dict[str, Any]:
    """Return what is the same whatever the seed of a run: config, data and pretrained parts."""
    values = dict_to_dot({n: block for n, block in config.items() if n not in ("paths", "system")})
    parts = {name: config["paths"].get(name) for name in ("vectors", "encoder")}
    hashes = {name: hash_files(Path(path)) for name, path in parts.items() if path}
    return dict(json.loads(json.dumps({**values, **data, **hashes})))


def hash_files(path: Path) -> str:
    """Return a hash of a file or of all files in a folder; the name of a package as it is."""
    if not path.exists():
        return str(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def is_finished(run: Run) -> bool:
    """Whether a run has a result. Raises UsageError if its folder holds something else."""
    path = run.folder / RESULT
    if not path.is_file():
        if run.folder.is_dir() and any(run.folder.iterdir()) and not (run.folder / JOB).exists():
            raise UsageError(f"{run.folder} holds other files than a run: choose another OUT.")
        return False
    identity, now = json.loads(path.read_text("utf-8"))["identity"], run.job["identity"]
    if differing := [name for name in {**identity, **now} if identity.get(name) != now.get(name)]:
        shown = "; ".join(f"{n} was {identity.get(n)}, now {now.get(n)}" for n in differing[:5])
        raise UsageError(
            f"{run.folder} is a finished run with other settings ({shown}): choose another OUT, or "
            "delete the folder to repeat the run."
        )
    return True


def execute(
    runs: Sequence[Run], workers: int, command: Sequence[str] = COMMAND
) -> Iterator[tuple[Run, str]]:
    """Do runs side by side, each in a process; yields each with its error, empty if it succeeded.

    Processes that are still running are terminated when the generator is closed.
    """
    waiting = list(runs)
    running: dict[subprocess.Popen, Run] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.pop(0)
                running[start(run, workers, command)] = run
                print(f"{run}  started", flush=True)
            time.sleep(0.1)
            for process in [one for one in running if one.poll() is not None]:
                run = running.pop(process)
                yield run, "" if (run.folder / RESULT).is_file() else last_line(run, process)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def start(run: Run, workers: int, command: Sequence[str]) -> subprocess.Popen:
    """Create the folder of a run anew and start its process."""
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    (run.folder / JOB).write_text(json.dumps(run.job, indent=1), encoding="utf-8")
    run.config.to_disk(run.folder / CONFIG, interpolate=False)
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    with (run.folder / LOG).open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            [*command, str(run.folder), str(os.getpid())],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"OMP_NUM_THREADS": threads, **os.environ},
        )


def last_line(run: Run, process: subprocess.Popen) -> str:
    """Return the last line of the log of a failed run, or its exit code."""
    log = run.folder / LOG
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else f'exit code {process.returncode}'} (see {log})"


def collect(runs: Sequence[Run]) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the finished runs by variant and seed, also of seeds that were run earlier."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for run in runs:
        for path in run.folder.parent.glob(f"*/{RESULT}"):
            result = json.loads(path.read_text("utf-8"))
            if result["identity"] == run.job["identity"]:
                found.setdefault(run.job["variant"], {})[result["seed"]] = result
    return found


def run_table(options: argparse.Namespace, command: Sequence[str] = COMMAND) -> int:
    """Do the runs that are not finished and write the page; returns how many failed."""
    options.output.mkdir(parents=True, exist_ok=True)
    with FileLock(options.output / ".lock", timeout=0):
        runs, left_out = plan(options)
        chosen = [run for run in runs if run.job["system"] in options.systems]
        return run_unfinished(
            chosen,
            options.workers,
            command,
            lambda missing: write_page(options, collect(runs), missing, left_out),
        )


def run_unfinished(
    runs: Sequence[Run], workers: int, command: Sequence[str], write: Callable[[int], Path]
) -> int:
    """Do the runs that are not finished, and write a page; returns how many failed.

    write: writes the page, given the number of unfinished runs, and returns its path.
    """
    failed = 0
    unfinished = [run for run in runs if not is_finished(run)]
    print(f"Runs: {len(runs)}, finished already: {len(runs) - len(unfinished)}", flush=True)
    try:
        for run, error in execute(unfinished, workers, command):
            failed += bool(error)
            print(f"{run}  {f'failed: {error}' if error else 'finished'}", flush=True)
    finally:
        print(f"Wrote {write(sum(not is_finished(run) for run in runs))}", flush=True)
    return failed


def main() -> None:
    exit_after(run_table, parse(sys.argv[1:]))


def exit_after(run_all: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> None:
    """Do all runs; exit with a message if they fail or are interrupted."""
    # Termination stops the runs, as an interrupt does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failed = run_all(options)
    except Timeout:
        sys.exit(f"Another process works in {options.output}: wait for it, or choose another OUT.")
    except KeyboardInterrupt:
        sys.exit("Interrupted: the same command continues with the unfinished runs.")
    except (MNERError, OSError) as error:
        sys.exit(f"{error}")
    if failed:
        sys.exit(f"Failed runs: {failed}. The same command repeats them.")


if __name__ == "__main__":
    main()
