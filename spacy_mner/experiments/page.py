"""The page of an experiment: its table, and all that one must know to read it."""

from __future__ import annotations

import json
import shlex
import statistics
from dataclasses import replace
from itertools import chain
from typing import Any

from ..utils.text import counted
from ..visualize.markdown import NOTHING
from ..visualize.visible_names import shown
from .data import CorpusFolder
from .experiment import Experiment, Options, Runs
from .plan import asked_for, text_encoder_name
from .result import Result

Facts = dict[str, Any]


def write_page(experiment: Experiment, options: Options, corpus: CorpusFolder, runs: Runs) -> None:
    """Write <name>.md, and <name>.json with the figures behind it."""
    summary = {
        "experiment": experiment.name,
        "facts": collect_facts(experiment, options, corpus, runs),
        **experiment.summarize(runs),
    }
    plots = experiment.draw(summary, options.output)
    page = options.output / f"{experiment.name}.md"
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    page.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    page.write_text(render_page(experiment, summary, plots), encoding="utf-8")


def collect_facts(
    experiment: Experiment, options: Options, corpus: CorpusFolder, runs: Runs
) -> Facts:
    """What the figures are of and what they were made by; no folder of one machine."""
    seeds = sorted({*options.seeds, *chain.from_iterable(runs.values())})
    results = list(chain.from_iterable(by_seed.values() for by_seed in runs.values()))
    epochs = sorted({result["training"]["epochs"] for result in results})
    encoder = text_encoder_name(experiment, options)
    return {
        "corpus": corpus.name,
        "split": options.split,
        "size": corpus.size,
        "note": options.note,
        "images": "descriptors that the posts bring" if corpus.descriptors else _encoder(results),
        "image_status": _image_status(results),
        "left_out": dict(experiment.left_out),
        "missing_images": {} if corpus.images is None else corpus.images.missing,
        "vectors": None if options.vectors is None else shown(options.vectors),
        "encoder": None if encoder is None else shown(encoder),
        "setting": options.setting,
        "mixed_precision": options.mixed_precision,
        "seeds": seeds,
        "epochs": epochs,
        "finished": len(results),
        "runs": len(asked_for(experiment, options) | set(runs)) * len(seeds),
        "cpu_minutes": cpu_minutes(runs),
        "machines": list(dict.fromkeys(_machine(result["machine"]) for result in results)),
        "workers": options.workers,
        "command": command_line(experiment.name, replace(options, seeds=tuple(seeds))),
    }


def _encoder(results: list[Result]) -> str:
    for result in results:
        config = result["asked"]["config"]
        encoder = {n.rpartition(".")[2]: v for n, v in config.items() if ".encoder." in n}
        if encoder:
            name = encoder.pop("@image_encoders")
            return f"{name} ({', '.join(f'{n} = {v}' for n, v in encoder.items())})"
    return NOTHING


def _image_status(results: list[Result]) -> list[dict[str, int]]:
    """Scored posts by what became of their image in runs that see it; one where all agree."""
    found = [one["scores"]["on"]["image_status"] for one in results if "off" in one["scores"]]
    return [status for i, status in enumerate(found) if status not in found[:i]]


def cpu_minutes(runs: Runs) -> dict[str, Any]:
    """CPU time of all threads: of all runs, and of one seed, each variant at its mean over seeds.

    whole: it is that of whole processes; else, as older results hold no more, that of training
    with its evaluation on dev.
    """
    whole = all("cpu_seconds" in one for by_seed in runs.values() for one in by_seed.values())
    spent = [[_cpu_minutes(one, whole) for one in by_seed.values()] for by_seed in runs.values()]
    return {
        "variants": len(spent),
        "runs": sum(map(sum, spent)),
        "seed": sum(map(statistics.mean, spent)),
        "whole": whole,
    }


def _cpu_minutes(result: Result, whole: bool) -> float:
    training = result["training"]
    trained = training["seconds_per_epoch"]["cpu"] * training["epochs"]
    return (result["cpu_seconds"] if whole else trained) / 60


def _machine(machine: dict[str, Any]) -> str:
    gpu = machine["gpu"] or "no GPU"
    return (
        f"{machine['processor']}, {counted(machine['cores'], 'core')}, "
        f"{counted(machine['threads'], 'thread')} a run, "
        f"{gpu}, Python {machine['python']}, spaCy {machine['spacy']}, torch {machine['torch']}"
    )


def command_line(name: str, options: Options) -> str:
    """The command that made a page, with names in place of folders of one machine."""
    words: list[Any] = [
        "spacy-mner",
        "experiment",
        name,
        shown(options.corpus),
        shown(options.output),
    ]
    words += ["--split", options.split, "--seeds", ",".join(map(str, options.seeds))]
    words += ["--systems", ",".join(options.systems)] if options.systems else []
    words += ["--epochs", options.epochs] if options.epochs is not None else []
    for flag, path in (
        ("--vectors", options.vectors),
        ("--encoder", options.encoder),
        ("--images-root", options.images_root),
        ("--encoder-weights", options.encoder_weights),
    ):
        words += [flag, shown(path)] if path is not None else []
    words += ["--setting", options.setting, "--workers", options.workers]
    words += ["--mixed-precision"] if options.mixed_precision else []
    words += ["--gpu-id", options.gpu_id] if options.gpu_id >= 0 else []
    words += ["--keep-models"] if options.keep_models else []
    words += ["--note", options.note] if options.note else []
    return shlex.join(map(str, words))


def render_page(experiment: Experiment, summary: dict[str, Any], plots: list[str]) -> str:
    """The page, in Markdown."""
    facts = summary["facts"]
    lines = [f"# {experiment.title}", "", *_facts(facts), ""]
    if facts["finished"] < facts["runs"]:
        lines += [
            f"**Not complete: {facts['finished']} of {counted(facts['runs'], 'run')} finished.**",
            "",
        ]
    lines += experiment.render(summary)
    lines += [line for plot in plots for line in ("", f"![{experiment.title}]({plot})")]
    return "\n".join([*lines, ""])


def _facts(facts: Facts) -> list[str]:
    size = facts["size"]
    chosen = "dev chose the epoch"
    if facts["split"] == "dev":
        chosen += ", so that figures on it are optimiztic by that much"
    return [
        f"- data: {facts['corpus']}, split {facts['split']}: {size['posts']:,} posts, "
        f"{size['tokens']:,} tokens, {size['entities']:,} entities, {size['posts_with_image']:,} "
        f"posts with an image; {size['training_posts']:,} posts for training; {chosen}",
        *([f"- note: {facts['note']}"] if facts["note"] else []),
        f"- V: {facts['images']}; word vectors: {facts['vectors'] or 'none, a learned table'}",
        *([f"- text encoder: {facts['encoder']}"] if facts["encoder"] else []),
        *(f"- images of the scored posts: {_statuses(one)}" for one in facts["image_status"]),
        *_missing(facts["missing_images"]),
        *(f"- not run: `{key}`, for want of {what}" for key, what in facts["left_out"].items()),
        *(["- computed in bfloat16"] if facts["mixed_precision"] else []),
        f"- setting {facts['setting']}, {_epochs(facts['epochs'])}, seeds {_list(facts['seeds'])}",
        *(f"- machine: {machine}" for machine in facts["machines"]),
        *_cpu(facts),
        f"- command, its folders by their names: `{facts['command']}`",
    ]


def _statuses(status: dict[str, int]) -> str:
    counts = {"used": 0, "unreadable": 0, "absent": 0, **status}
    return ", ".join(f"{n:,} {kind}" for kind, n in counts.items())


def _missing(images: dict[str, int]) -> list[str]:
    if not images:
        return []
    return [f"- image files that are missing: {_list([f'{k} {n:,}' for k, n in images.items()])}"]


def _cpu(facts: Facts) -> list[str]:
    if not facts["finished"]:
        return []
    spent = facts["cpu_minutes"]
    what = "everything" if spent["whole"] else "training and evaluation on dev alone"
    return [
        f"- CPU time in minutes: {spent['runs']:.1f} for {counted(facts['finished'], 'run')}, "
        f"{spent['seed']:.1f} for one seed of {counted(spent['variants'], 'variant')} ({what})"
    ]


def _epochs(epochs: list[int]) -> str:
    return counted(epochs[0], "epoch") if len(epochs) == 1 else f"{_list(epochs) or 'no'} epochs"


def _list(values: list[Any]) -> str:
    return ", ".join(map(str, values))
