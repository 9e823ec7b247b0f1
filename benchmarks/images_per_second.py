"""Images per second of EfficientNet-Lite0 in prediction, against plain PyTorch, in one run.

    python benchmarks/images_per_second.py [--rounds 9]

Processor time of one thread, the sides alternately. Plain PyTorch is the network of the package in
channels-last with batches of 8, images prepared before; ours is measured from prepared images, one
at a time, and from uint8 pixels of 500 x 375.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
import typer

from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite, load_network

BATCH = 8


def main(
    rounds: Annotated[int, typer.Option(help="Measurements of each side.")] = 9,
) -> None:
    """Print images per second and their ratio to plain PyTorch."""
    torch.set_num_threads(1)
    pixels = list(np.random.default_rng(0).integers(0, 255, (BATCH, 375, 500, 3), np.uint8))
    encoder = EfficientNetLite(runtime="onnx")
    run, _ = encoder.runner(None, False)
    inputs = torch.stack([encoder.preprocessing(image) for image in pixels])
    channels_last = inputs.to(memory_format=torch.channels_last)
    network = load_network().eval().to(memory_format=torch.channels_last)
    sides: dict[str, Callable[[], object]] = {
        "plain PyTorch, channels-last, batch 8": lambda: network(channels_last),
        "ours, prepared images": lambda: [run(one) for one in inputs.split(1)],
        "ours, from pixels": lambda: encoder.encode(pixels),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    with torch.inference_mode():
        for _ in range(rounds + 1):  # the first is a warm-up
            for name, compute in sides.items():
                start = time.process_time()
                compute()
                seconds[name].append(time.process_time() - start)
    medians = {name: float(np.median(values[1:])) for name, values in seconds.items()}
    plain = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name}: {BATCH / median:.1f} images per second, {plain / median:.2f} x")


if __name__ == "__main__":
    typer.run(main)
