"""Kills trainings (SIGKILL) at random times and loads their checkpoints.

    python benchmarks/kill_training.py --kills 50

The training saves both checkpoints after every step, so that most of its time is saving. Prints how
often model-best and model-last were valid (loaded, and annotated a post), invalid or absent. Exits
with 1 if neither was valid after a kill.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import torch
from posts import Lexicon, make_lexicon, make_posts
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST, train
from spacy.util import load_config
from spacy.vectors import Vectors

CONFIG = Path(__file__).parent.parent / "configs" / "mner.cfg"
VALID, INVALID, ABSENT = "valid", "invalid", "absent"


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    random_times = random.Random(arguments.seed)
    found: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        nlp = make_pipeline(Path(folder), arguments)
        for i in range(arguments.kills):
            output = Path(folder) / str(i)
            kill_one(nlp, output, random_times.uniform(0, arguments.seconds))
            states = state_of(output / DIR_MODEL_BEST), state_of(output / DIR_MODEL_LAST)
            found[states] += 1
            print(describe(i + 1, states), flush=True)
            shutil.rmtree(output)
    print("times")
    for states, times in found.most_common():
        print(describe(times, states))
    lost = sum(times for states, times in found.items() if VALID not in states)
    print(f"{arguments.kills} kills, {lost} of them left no valid checkpoint")
    sys.exit(1 if lost else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0, help="maximum time of a kill")
    parser.add_argument("--words", type=int, default=20_000, help="number of word vectors")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_pipeline(folder: Path, arguments: argparse.Namespace) -> Language:
    """Initialize the pipeline of configs/mner.cfg with word vectors and without images."""
    rng = np.random.default_rng(arguments.seed)
    lexicon = make_lexicon(rng, n_words=arguments.words)
    config = load_config(CONFIG)
    config["paths"] |= dict.fromkeys(("train", "dev"), str(write_posts(folder, rng, lexicon)))
    config["paths"]["vectors"] = str(write_vectors(folder, lexicon))
    config["components"]["multimodal_ner"]["model"]["embed"]["image"] = None
    config["training"] |= {"max_epochs": 0, "max_steps": 0, "eval_frequency": 1}
    # Among equal scores, spaCy takes the last as the best, and copies model-best every time.
    config["training"]["score_weights"] = {"ents_f": 0.0}
    config["training"]["logger"] |= {"progress_bar": None, "console_output": False}
    return init_nlp(config)


def write_posts(folder: Path, rng: np.random.Generator, lexicon: Lexicon) -> Path:
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=post.words, ents=post.tags) for post in make_posts(rng, lexicon, 50)]
    DocBin(docs=docs).to_disk(folder / "posts.spacy")
    return folder / "posts.spacy"


def write_vectors(folder: Path, lexicon: Lexicon) -> Path:
    nlp = spacy.blank("en")
    strings = nlp.vocab.strings
    nlp.vocab.vectors = Vectors(strings=strings, keys=lexicon.words, data=lexicon.vectors)
    nlp.to_disk(folder / "vectors")
    return folder / "vectors"


def kill_one(nlp: Language, output: Path, seconds: float) -> None:
    """Train in a child process and kill it a number of seconds after its first checkpoints."""
    output.mkdir()
    # Forked, so that training starts at once.
    process: Any = multiprocessing.get_context("fork").Process(
        target=train, args=(nlp, output), kwargs={"stdout": io.StringIO()}
    )
    process.start()
    while sorted(os.listdir(output)) != [DIR_MODEL_BEST, DIR_MODEL_LAST]:
        assert process.is_alive(), "the training ended"
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()
    process.join()


def describe(number: int, states: tuple[str, str]) -> str:
    return f"{number:5}  {DIR_MODEL_BEST} {states[0]:8} {DIR_MODEL_LAST} {states[1]}"


def state_of(folder: Path) -> str:
    if not folder.exists():
        return ABSENT
    try:
        nlp = spacy.load(folder)
    except (OSError, ValueError):
        return INVALID
    return VALID if nlp("a post")._.image_status else INVALID


if __name__ == "__main__":
    main()
