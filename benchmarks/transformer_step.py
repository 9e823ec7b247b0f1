"""What a training step of the transformer costs, against plain PyTorch and transformers.

    python benchmarks/transformer_step.py
    python benchmarks/transformer_step.py --encoder FOLDER

The goal: a step takes at most 1.15 times as long as in plain PyTorch. Both sides train the network
of `configs/mner_cross_modal.cfg` (`handwritten_transformer.py`) on the same batches, in turn, in
one process, from the same weights, and must compute the same loss first. Nine posts in ten have the
precomputed grid of an image, 7 x 7 regions. The package has two advantages: it encodes posts of
similar length together, and (except in the last row) it does not use pytorch-crf.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clock import StageClock
from contenders import TEMPLATES, Ours, copy_weights, package_crf_loss
from handwritten import CRFLoss, TrainingLoop, crf_loss
from handwritten_transformer import AdamWTwoRates, Collate, Sizes, Tagger
from posts import Lexicon, make_lexicon, make_posts, with_descriptors
from spacy.util import load_config
from thinc.api import Config
from training_step import (
    CLOCKS,
    HAND,
    HAND_OWN_CRF,
    OURS,
    check_same_network,
    n_parameters,
    report_times,
    summarize,
    take_turns,
)
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from spacy_mner.layers.decode.bio import bio_tags

N_REGIONS, IMAGE_DIM = 49, 1280
LEARN_RATE, ENCODER_LEARN_RATE = 1e-4, 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--encoder", help="name or folder; default: random weights in the size of MiniLM"
    )
    parser.add_argument("--batch-size", type=int, nargs="+", default=[32, 16])
    parser.add_argument("--batches", type=int, default=10, help="in a round")
    parser.add_argument("--rounds", type=int, default=5, help="passes over the batches")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: a busy machine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the results here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = [compare(batch_size, arguments) for batch_size in arguments.batch_size]
    for result in results:
        report(result)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf8")


def compare(batch_size: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a step and of its stages for both sides on the same batches."""
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    lexicon = make_lexicon(rng)
    posts = make_posts(rng, lexicon, batch_size * arguments.batches)
    posts = with_descriptors(rng, posts, shape=(N_REGIONS, IMAGE_DIM))
    batches = [posts[i : i + batch_size] for i in range(0, len(posts), batch_size)]
    clocks = {name: StageClock(CLOCKS[arguments.clock]) for name in (OURS, HAND, HAND_OWN_CRF)}
    with tempfile.TemporaryDirectory() as folder:
        encoder = arguments.encoder or write_encoder(Path(folder), lexicon)
        ours = Ours(make_config(encoder), posts, clocks[OURS])
        hand = make_loop(ours, encoder, clocks[HAND], crf_loss)
        hand_own_crf = make_loop(ours, encoder, clocks[HAND_OWN_CRF], package_crf_loss)
    examples = [ours.examples(batch) for batch in batches]
    check_same_network(ours, [hand, hand_own_crf], examples[0], batches[0])
    steps: dict[str, Callable[[int], Any]] = {
        OURS: lambda i: ours.step(examples[i]),
        HAND: lambda i: hand.step(batches[i]),
        HAND_OWN_CRF: lambda i: hand_own_crf.step(batches[i]),
    }
    take_turns(steps, clocks, len(batches), arguments.rounds)
    pieces = [hand.collate(batch).ids.shape[1] for batch in batches]
    return summarize(clocks, len(batches)) | {
        "batch size": batch_size,
        "parameters": n_parameters(ours.network),
        "pieces, longest post of a batch": float(np.mean(pieces)),
    }


def make_config(encoder: str) -> Config:
    """`cross-modal.cfg` for posts with precomputed regions, with constant learning rates."""
    config = load_config(TEMPLATES / "cross-modal.cfg")
    config["paths"]["encoder"] = encoder
    model = config["components"]["multimodal_ner"]["model"]
    # As wide as the text encoder, whose vectors then need no projection.
    model["embed"]["image"].update({"encoder": None, "width": 384})
    model["fuse"].update({"width": 384, "heads": 12, "feedforward": 1536})
    optimizer = config["training"]["optimizer"]
    optimizer.update({"learn_rate": LEARN_RATE, "encoder_learn_rate": ENCODER_LEARN_RATE})
    return config


def write_encoder(folder: Path, lexicon: Lexicon) -> str:
    """A BERT of the size of MiniLM with random weights, and with word pieces for frequent words."""
    letters = [chr(i) for i in range(33, 127)]
    frequent = [word.lower() for word in lexicon.words[:4000]]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    known = list(dict.fromkeys([*special, *letters, *(f"##{c}" for c in letters), *frequent]))
    unused = [f"[unused{i}]" for i in range(30_522 - len(known))]
    (folder / "vocab.txt").write_text("\n".join([*known, *unused]), encoding="utf8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)
    sizes = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6}
    BertModel(BertConfig(**sizes, num_attention_heads=12)).save_pretrained(folder)
    return str(folder)


def make_loop(ours: Ours, encoder: str, clock: StageClock, of_crf: CRFLoss) -> TrainingLoop:
    """The hand-written loop with the sizes, settings and weights of `ours`."""
    model = ours.config.interpolate()["components"]["multimodal_ner"]["model"]
    training = ours.config["training"]["optimizer"]
    featurizers = ours.pipe.model.attrs["featurizers"]
    char, fuse = model["embed"]["char"], model["fuse"]
    sizes = Sizes(
        n_characters=featurizers.dims()["char"]["n_characters"],
        character_width=char["character_width"],
        character_output_width=char["width"],
        n_regions=N_REGIONS,
        image_dim=IMAGE_DIM,
        width=fuse["width"],
        heads=fuse["heads"],
        feedforward=fuse["feedforward"],
        dropout=fuse["dropout"],
        character_dropout=char["dropout"],
        segmentation_weight=model["decode"]["segmentation_weight"],
    )
    tag_ids = {tag: i for i, tag in enumerate(bio_tags(ours.pipe.labels))}
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    character_ids = dict(featurizers.by_name["char"].ids)
    network = Tagger(encoder, sizes, tag_ids)
    copy_weights(ours.network, network, NAMES)
    update = AdamWTwoRates(
        network,
        learn_rate=LEARN_RATE,
        encoder_learn_rate=ENCODER_LEARN_RATE,
        weight_decay=training["weight_decay"],
        clip=training["grad_clip"],
    )
    collate = Collate(tokenizer, character_ids, tag_ids, sizes)
    return TrainingLoop(network, collate, update, clock, of_crf)


GRID = "fuse.cross_attention.grid"
NAMES = {
    "encoder": "embed.text.encoder",
    "characters": "embed.char.embedding",
    "character_lstm": "embed.char.lstm",
    "project_characters": "fuse.text_sum.projections.1",
    "input_norm": "embed.image.input_norm",
    "project_image": "embed.image.projection",
    "text_self_attention": "fuse.text_self_attention",
    "auxiliary_self_attention": "fuse.auxiliary_self_attention",
    "region_projection": f"{GRID}.region_projection",
    "region_self_attention": f"{GRID}.region_self_attention",
    "text_to_region": f"{GRID}.text_to_region",
    "region_projection_2": f"{GRID}.region_projection_2",
    "region_self_attention_2": f"{GRID}.region_self_attention_2",
    "region_to_text": f"{GRID}.region_to_text",
    "text_to_region_2": f"{GRID}.text_to_region_2",
    "gate": f"{GRID}.gate.linear",
    "image_projection": "fuse.image_projection",
    "output_projection": "fuse.output_projection",
    "emission": "decode.emission",
    "crf.start_transitions": "decode.start",
    "crf.end_transitions": "decode.end",
    "crf.transitions": "decode.transitions",
    "auxiliary_emission": "decode.segmentation_head.emission",
    "crf_auxiliary.start_transitions": "decode.segmentation_head.start",
    "crf_auxiliary.end_transitions": "decode.segmentation_head.end",
    "crf_auxiliary.transitions": "decode.segmentation_head.transitions",
}


def report(result: dict[str, Any]) -> None:
    longest = result["pieces, longest post of a batch"]
    print(
        f"\nbatch of {result['batch size']}, longest post {longest:.1f} pieces; "
        f"{result['parameters']:,} parameters"
    )
    report_times(result)


if __name__ == "__main__":
    main()
