"""The time of a training step relative to a hand-written PyTorch loop of the same network.

    python benchmarks/training_step.py

Both sides train on the same batches, in turn, in one process. See README.md for what is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from clock import StageClock
from contenders import Ours, loss_without_dropout, make_loop, n_parameters, plain_config
from posts import (
    Post,
    make_lexicon,
    make_posts,
    shape,
    with_descriptors,
    with_images,
)

WARM_UP = 5
STAGES = ("featurize", "forward", "loss", "backward", "optimizer")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
OURS, HAND, HAND_OWN_CRF = "spacy-mner", "hand-written", "hand-written, our CRF"


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    results = [
        compare(batch_size, image, arguments)
        for image in arguments.image
        for batch_size in arguments.batch_size
    ]
    machine = {
        "clock": arguments.clock,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
    }
    report(results, machine)
    if arguments.output:
        content = {"machine": machine, "seed": arguments.seed, "results": results}
        arguments.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[32, 10])
    parser.add_argument(
        "--image",
        nargs="+",
        choices=["descriptor", "image"],
        default=["descriptor", "image"],
        help="input: image_features, or image files with cached features",
    )
    parser.add_argument("--batches", type=int, default=20, help="in a round")
    parser.add_argument("--rounds", type=int, default=5, help="passes over the batches")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="cpu: time of the process, for a busy machine; with --threads 1",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the results here, as JSON")
    return parser.parse_args()


def compare(batch_size: int, image: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a step and of its stages for both sides on the same batches."""
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    lexicon = make_lexicon(rng)
    posts = make_posts(rng, lexicon, batch_size * arguments.batches)
    with tempfile.TemporaryDirectory() as folder:
        if image == "image":
            posts = with_images(rng, posts, Path(folder))
        else:
            posts = with_descriptors(rng, posts)
        batches = [posts[i : i + batch_size] for i in range(0, len(posts), batch_size)]
        clocks = {name: StageClock(CLOCKS[arguments.clock]) for name in (OURS, HAND, HAND_OWN_CRF)}
        config = plain_config(images=image == "image")
        ours = Ours(config, posts, clocks[OURS], lexicon)
        hand = make_loop(ours, posts, lexicon, clocks[HAND], own_crf=False)
        hand_own_crf = make_loop(ours, posts, lexicon, clocks[HAND_OWN_CRF], own_crf=True)
        examples = [ours.examples(batch) for batch in batches]
        check_same_network(ours, [hand, hand_own_crf], examples[0], batches[0])
        steps: dict[str, Callable[[int], Any]] = {
            OURS: lambda i: ours.step(examples[i]),
            HAND: lambda i: hand.step(batches[i]),
            HAND_OWN_CRF: lambda i: hand_own_crf.step(batches[i]),
        }
        take_turns(steps, clocks, len(batches), arguments.rounds)
    return summarize(clocks, len(batches)) | {
        "batch size": batch_size,
        "image": image,
        "parameters": n_parameters(ours.network),
        "posts": shape(batches),
    }


def check_same_network(ours: Ours, loops: list[Any], examples: list, posts: list[Post]) -> None:
    """Raise AssertionError unless both sides compute the same loss with the same parameters."""
    for loop in loops:
        assert n_parameters(loop.network) == n_parameters(ours.network)
        losses = loss_without_dropout(loop, posts), ours.loss(examples)
        assert abs(losses[0] - losses[1]) < 1e-4 * losses[1], f"losses differ: {losses}"


def take_turns(
    steps: dict[str, Callable[[int], Any]],
    clocks: dict[str, StageClock],
    n_batches: int,
    rounds: int,
) -> None:
    """Run all sides on each batch in turn, with each side first equally often."""
    names = list(steps)
    for i in range(WARM_UP):
        for name in names:
            steps[name](i % n_batches)
    for _ in range(rounds):
        for i in range(n_batches):
            for name in names:
                with clocks[name].step():
                    steps[name](i)
            names.append(names.pop(0))


def summarize(clocks: dict[str, StageClock], n_batches: int) -> dict[str, Any]:
    times = {name: [step["step"] for step in clock.steps] for name, clock in clocks.items()}
    return {
        "milliseconds": {name: 1e3 * median(taken) for name, taken in times.items()},
        "stages": {name: stages_of(clock) for name, clock in clocks.items()},
        "ratio": ratio(times[OURS], times[HAND], n_batches),
        "ratio, our CRF in both": ratio(times[OURS], times[HAND_OWN_CRF], n_batches),
    }


def ratio(ours: list[float], other: list[float], n_batches: int) -> dict[str, float]:
    """The ratio of the median steps of a round: its median, lowest and highest over rounds."""
    starts = range(0, len(ours), n_batches)
    rounds = [median(ours[i : i + n_batches]) / median(other[i : i + n_batches]) for i in starts]
    return {"median": median(rounds), "lowest": min(rounds), "highest": max(rounds)}


def stages_of(clock: StageClock) -> dict[str, float]:
    taken = {s: 1e3 * median(step.get(s, 0.0) for step in clock.steps) for s in STAGES}
    rest = [step["step"] - sum(step.get(s, 0.0) for s in STAGES) for step in clock.steps]
    return taken | {"rest": 1e3 * median(rest)}


def report_times(result: dict[str, Any]) -> None:
    print(f"  {'ms per step (median)':24}{'step':>8}", *(f"{s:>10}" for s in (*STAGES, "rest")))
    for name, total in result["milliseconds"].items():
        stages = result["stages"][name].values()
        print(f"  {name:24}{total:8.1f}", *(f"{taken:10.1f}" for taken in stages))
    for key in ("ratio", "ratio, our CRF in both"):
        values = result[key]
        spread = f"rounds {values['lowest']:.2f} to {values['highest']:.2f}"
        print(f"  {key:24}{values['median']:8.2f}   ({spread})")


def report(results: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for result in results:
        described = ", ".join(f"{name} {value:.1f}" for name, value in result["posts"].items())
        print(
            f"\nbatch of {result['batch size']}, {result['image']}: {described}; "
            f"{result['parameters']:,} parameters"
        )
        report_times(result)


if __name__ == "__main__":
    main()
