"""The page of an experiment: its table, and all that one must know to read it."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from .data import CorpusFolder, shown
from .experiment import Experiment, Options, Runs
from .result import Result

Facts = dict[str, Any]


def write_page(experiment: Experiment, options: Options, corpus: CorpusFolder, runs: Runs) -> None:
    """Write <name>.md, and <name>.json with the figures behind it."""
    summary = {
        "experiment": experiment.name,
        "facts": collect_facts(experiment, options, corpus, runs),
        **experiment.summarise(runs),
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
    results = list(chain.from_iterable(by_seed.values() for by_seed in runs.values()))
    epochs = sorted({result["training"]["epochs"] for result in results})
    return {
        "corpus": corpus.name,
        "split": options.split,
        "size": corpus.size,
        "note": options.note,
        "pictures": "descriptors that the posts bring" if corpus.descriptors else _encoder(results),
        "vectors": None if options.vectors is None else shown(options.vectors),
        "setting": options.setting,
        "seeds": list(options.seeds),
        "epochs": epochs,
        "finished": len(results),
        "runs": len(experiment.variants) * len(options.seeds),
        "machines": list(dict.fromkeys(_machine(result["machine"]) for result in results)),
        "workers": options.workers,
        "command": command_line(experiment.name, options),
    }


def _encoder(results: list[Result]) -> str:
    for result in results:
        config = result["asked"]["config"]
        encoder = {n.rpartition(".")[2]: v for n, v in config.items() if ".encoder." in n}
        if encoder:
            name = encoder.pop("@image_encoders")
            return f"{name} ({', '.join(f'{n} = {v}' for n, v in encoder.items())})"
    return "–"


def _machine(machine: dict[str, Any]) -> str:
    gpu = machine["gpu"] or "no GPU"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads a run, "
        f"{gpu}, Python {machine['python']}, spaCy {machine['spacy']}, torch {machine['torch']}"
    )


def command_line(name: str, options: Options) -> str:
    """The command that made a page, with names in place of folders of one machine."""
    words = [f"spacy-mner experiment {name} {shown(options.corpus)} {shown(options.output)}"]
    words.append(f"--split {options.split} --seeds {','.join(map(str, options.seeds))}")
    words += [f"--epochs {options.epochs}"] if options.epochs is not None else []
    words += [f"--vectors {shown(options.vectors)}"] if options.vectors is not None else []
    words += [f"--images-root {shown(options.images_root)}"] if options.images_root else []
    words.append(f"--setting {options.setting}")
    words += [f"--workers {options.workers}"] if options.workers > 1 else []
    words += [f"--gpu-id {options.gpu_id}"] if options.gpu_id >= 0 else []
    words += ["--keep-models"] if options.keep_models else []
    words += [f'--note "{options.note}"'] if options.note else []
    return " ".join(words)


def render_page(experiment: Experiment, summary: dict[str, Any], plots: list[str]) -> str:
    """The page, in Markdown."""
    facts = summary["facts"]
    lines = [f"# {experiment.title}", "", *_facts(facts), ""]
    if facts["finished"] < facts["runs"]:
        lines += [
            f"**Not complete: {facts['finished']} of {facts['runs']} runs are finished.**",
            "",
        ]
    lines += experiment.render(summary)
    lines += [line for plot in plots for line in ("", f"![{experiment.title}]({plot})")]
    return "\n".join([*lines, ""])


def _facts(facts: Facts) -> list[str]:
    size = facts["size"]
    chosen = "dev chose the epoch"
    if facts["split"] == "dev":
        chosen += ", so that figures on it are optimistic by that much"
    return [
        f"- data: {facts['corpus']}, split {facts['split']}: {size['posts']:,} posts, "
        f"{size['tokens']:,} tokens, {size['entities']:,} entities, {size['posts_with_picture']:,} "
        f"posts with a picture; {size['training_posts']:,} posts for training; {chosen}",
        *([f"- note: {facts['note']}"] if facts["note"] else []),
        f"- V: {facts['pictures']}; word vectors: {facts['vectors'] or 'none, a learned table'}",
        f"- setting {facts['setting']}, {_list(facts['epochs']) or 'no'} epochs, "
        f"seeds {_list(facts['seeds'])}",
        *(f"- machine: {machine}" for machine in facts["machines"]),
        f"- command: `{facts['command']}`",
    ]


def _list(values: list[Any]) -> str:
    return ", ".join(map(str, values))
