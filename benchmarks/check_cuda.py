"""Check mixed precision and image encoding on CUDA, in a few minutes on one GPU.

    python benchmarks/check_cuda.py [--posts 256] [--steps 30]

Prints one line per check and ends with exit code 1 if one fails: EfficientNet-Lite0 returns the
features of the CPU, a network in bfloat16 trains to a loss near that of float32, and a trained
network predicts nearly the same labels in both.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from posts import Post, make_lexicon, make_posts, with_images
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_config, load_model_from_config, registry

import spacy_mner
from spacy_mner.images.encoders.efficientnet_lite import EfficientNetLite

CONFIG = Path(spacy_mner.__file__).parent / "templates" / "base.cfg"
BATCH = 32
# Of features up to 6, which convolutions in TF32 round to 10 bits.
FEATURE_TOLERANCE = 0.05
# Share of tokens to which the same network gives another label in bfloat16.
MAX_DIFFERENT = 0.02
# Relative difference of the losses of two trainings.
MAX_LOSS = 0.1


def main(
    posts: Annotated[int, typer.Option(help="Synthetic posts with images.")] = 256,
    steps: Annotated[int, typer.Option(help="Training steps of each network.")] = 30,
) -> None:
    """Check mixed precision and image encoding on CUDA."""
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device: run this on a machine with a GPU and torch for CUDA.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    failed = not images_agree()
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        made = with_images(rng, make_posts(rng, make_lexicon(rng), posts), Path(folder))
        failed |= not precisions_agree(made, steps)
    sys.exit(int(failed))


def images_agree() -> bool:
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 255, (128, 300, 400, 3), dtype=np.uint8))
    encoder = EfficientNetLite(regions="grid", runtime="torch")
    expected = encoder.encode(images[:16], torch.device("cpu"))
    encoder.encode(images[:64], torch.device("cuda"))  # the first batch includes the start of CUDA
    start = time.perf_counter()
    found = encoder.encode(images, torch.device("cuda"))
    seconds = time.perf_counter() - start
    difference = float(np.abs(found[:16] - expected).max())
    print(f"image features: {difference:.1e} from those of the CPU, {len(images) / seconds:.0f}/s")
    return difference < FEATURE_TOLERANCE


def precisions_agree(posts: list[Post], steps: int) -> bool:
    losses = {}
    for name, mixed in (("bfloat16", True), ("float32", False)):
        start = time.perf_counter()
        nlp, losses[name] = train(posts, steps, mixed_precision=mixed)
        seconds = time.perf_counter() - start
        print(f"{name}: loss {losses[name]:.3f} after {steps} steps, {seconds:.1f} s")
    expected = labels(nlp, posts)
    nlp.get_pipe("multimodal_ner").model.shims[0].mixed_precision = True
    different = float((labels(nlp, posts) != expected).mean())
    print(f"tokens with another label in bfloat16: {different:.2%}")
    is_close = abs(losses["bfloat16"] - losses["float32"]) < MAX_LOSS * losses["float32"]
    return is_close and different < MAX_DIFFERENT


def labels(nlp: Any, posts: list[Post]) -> np.ndarray:
    docs = nlp.pipe([doc_of(nlp, post) for post in posts])
    return np.concatenate([[token.ent_type_ for token in doc] for doc in docs])


def train(posts: list[Post], steps: int, *, mixed_precision: bool) -> tuple[Any, float]:
    """Return a pipeline on CUDA and the loss of its last step."""
    import spacy

    spacy.require_gpu()
    fix_random_seed(0)
    config = load_config(CONFIG)
    config["components"]["multimodal_ner"]["model"]["mixed_precision"] = mixed_precision
    nlp = load_model_from_config(config.interpolate(), auto_fill=True)
    examples = [example_of(nlp, post) for post in posts]
    nlp.initialize(lambda: examples)
    optimizer = registry.resolve({"it": config["training"]["optimizer"]})["it"]
    losses: dict[str, float] = {}
    for step in range(steps):
        losses = {}
        first = step * BATCH % len(examples)
        nlp.update(examples[first : first + BATCH], sgd=optimizer, losses=losses)
    return nlp, losses["multimodal_ner"]


def doc_of(nlp: Any, post: Post) -> Doc:
    doc = Doc(nlp.vocab, words=post.words)
    doc._.image = post.image
    return doc


def example_of(nlp: Any, post: Post) -> Example:
    reference = Doc(nlp.vocab, words=post.words, ents=post.tags)
    reference._.image = post.image
    predicted = doc_of(nlp, post)
    spacy_mner.extensions.copy_image(reference, predicted)
    return Example(predicted, reference)


if __name__ == "__main__":
    typer.run(main)
