"""What a training step with a text encoder costs, against plain PyTorch and transformers.

    python benchmarks/transformer_step.py
    python benchmarks/transformer_step.py --encoder FOLDER

The yardstick: a step costs at most 1.15 times that of plain PyTorch. Both sides fine-tune the same
encoder with a linear layer and a CRF on top, on the same batches, in turn, in one process, from the
same weights: before anything is timed, both must give the same loss. The other side begins with
lists of strings, which a fast tokenizer of transformers aligns in the loop, and steps with fused
AdamW, two learning rates, and the norm of all gradients clipped. It pads a batch to its longest
post, as everybody does; ours reads posts of similar length together. Its CRF is pytorch-crf or, in
the last row, ours.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import spacy
import torch
from clock import StageClock
from contenders import loss_without_dropout, package_loss, watch_stages
from handwritten import FORBIDDEN, crf_loss
from posts import Lexicon, Post, make_lexicon, make_posts
from spacy.tokens import Doc
from spacy.training import Example
from torch import Tensor, nn
from torchcrf import CRF
from training_step import (
    CLOCKS,
    HAND,
    HAND_OWN_CRF,
    OURS,
    ratio,
    report_times,
    stages_of,
    take_turns,
)
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from spacy_mner.layers.decode import bio_tags
from spacy_mner.optimizer import build_adamw

LEARN_RATE, ENCODER_LEARN_RATE, WEIGHT_DECAY, CLIP, DROPOUT = 1e-3, 5e-5, 0.01, 1.0, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", help="name or folder; MiniLM's shape at random by default")
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
    """Time both sides on the same batches: milliseconds of a step, as a whole and by stage."""
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    lexicon = make_lexicon(rng)
    posts = make_posts(rng, lexicon, batch_size * arguments.batches)
    batches = [posts[i : i + batch_size] for i in range(0, len(posts), batch_size)]
    names = (OURS, HAND, HAND_OWN_CRF)
    clocks = {name: StageClock(CLOCKS[arguments.clock]) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        encoder = arguments.encoder or write_encoder(Path(folder), lexicon)
        ours = Ours(encoder, posts, clocks[OURS])
        hand = Loop(encoder, ours, clocks[HAND], crf_loss)
        hand_own_crf = Loop(encoder, ours, clocks[HAND_OWN_CRF], package_loss)
    examples = [ours.examples(batch) for batch in batches]
    for loop in (hand, hand_own_crf):  # the same network, or there is nothing to compare
        losses = loss_without_dropout(loop, batches[0]), ours.loss(examples[0])
        assert abs(losses[0] - losses[1]) < 1e-4 * losses[1], f"losses differ: {losses}"
    steps: dict[str, Callable[[int], Any]] = {
        OURS: lambda i: ours.step(examples[i]),
        HAND: lambda i: hand.step(batches[i]),
        HAND_OWN_CRF: lambda i: hand_own_crf.step(batches[i]),
    }
    take_turns(steps, clocks, len(batches), arguments.rounds)
    times = {name: [step["step"] for step in clock.steps] for name, clock in clocks.items()}
    grids = [hand.collate(batch).ids.shape for batch in batches]
    return {
        "batch size": batch_size,
        "pieces, longest post of a batch": float(np.mean([longest for _, longest in grids])),
        "milliseconds": {name: 1e3 * median(taken) for name, taken in times.items()},
        "stages": {name: stages_of(clock) for name, clock in clocks.items()},
        "ratio": ratio(times[OURS], times[HAND], len(batches)),
        "ratio, our CRF in both": ratio(times[OURS], times[HAND_OWN_CRF], len(batches)),
    }


def write_encoder(folder: Path, lexicon: Lexicon) -> str:
    """A BERT of MiniLM's shape with random weights, that has a piece for frequent words."""
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


class Ours:
    """A pipeline with the encoder, no further modality and a CRF, and the loop of spaCy."""

    def __init__(self, encoder: str, posts: Sequence[Post], clock: StageClock) -> None:
        text = {"@architectures": "spacy_mner.Transformer.v1", "name": encoder}
        model = {
            "@architectures": "spacy_mner.MultimodalTagger.v1",
            "embed": {"text": {**text, "dropout": DROPOUT}},
            "fuse": {"@architectures": "spacy_mner.Concatenate.v1", "dropout": 0.0},
            "encode": {"@architectures": "spacy_mner.None.v1"},
            "decode": {"@architectures": "spacy_mner.CRF.v1"},
        }
        self.nlp = spacy.blank("en")
        self.pipe: Any = self.nlp.add_pipe("multimodal_ner", config={"model": model})
        self.nlp.initialize(lambda: self.examples(posts))
        self.optimizer = build_adamw(
            LEARN_RATE,
            encoder_learn_rate=ENCODER_LEARN_RATE,
            weight_decay=WEIGHT_DECAY,
            grad_clip=CLIP,
        )
        self.losses: dict[str, float] = {}
        watch_stages(self.pipe, clock)

    @property
    def network(self) -> nn.Module:
        return self.pipe.model.shims[0].network

    def examples(self, posts: Sequence[Post]) -> list[Example]:
        vocab = self.nlp.vocab
        return [
            Example(Doc(vocab, words=post.words), Doc(vocab, words=post.words, ents=post.tags))
            for post in posts
        ]

    def step(self, examples: list[Example]) -> None:
        self.nlp.update(examples, drop=0.0, losses=self.losses, sgd=False, exclude=[], annotates=[])
        self.pipe.finish_update(self.optimizer)
        self.optimizer.step_schedules()

    def loss(self, examples: list[Example]) -> float:
        output = self.pipe.model.predict([example.predicted for example in examples])
        return float(self.pipe.get_loss(examples, output)[0])


@dataclass(frozen=True)
class Batch:
    ids: Tensor  # [n_posts, longest in pieces]
    attended: Tensor  # the same shape
    firsts: Tensor  # [n_posts, longest], column of the first piece of each token
    tags: Tensor  # [n_posts, longest]
    lengths: Tensor  # [n_posts]

    @property
    def mask(self) -> Tensor:
        return torch.arange(self.tags.shape[1]) < self.lengths.unsqueeze(1)


class Tagger(nn.Module):
    """The encoder, a linear layer and a CRF, as anybody would write them."""

    def __init__(self, encoder: str, n_tags: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(encoder)
        self.dropout = nn.Dropout(DROPOUT)
        self.emit = nn.Linear(self.encoder.config.hidden_size, n_tags)
        self.crf = CRF(n_tags, batch_first=True)

    def forward(self, batch: Batch) -> Tensor:
        """Emissions [n_posts, longest, n_tags]."""
        read = self.encoder(input_ids=batch.ids, attention_mask=batch.attended).last_hidden_state
        index = batch.firsts.unsqueeze(2).expand(-1, -1, read.shape[2])
        emissions: Tensor = self.emit(self.dropout(read.gather(1, index)))
        return emissions


class Loop:
    """One training step at a time, as fast as transformers and torch know how."""

    def __init__(
        self,
        encoder: str,
        ours: Ours,
        clock: StageClock,
        criterion: Callable[[Any, Tensor, Any], Tensor],
    ) -> None:
        self.clock = clock
        self.criterion = criterion
        self.tag_ids = {tag: i for i, tag in enumerate(bio_tags(ours.pipe.labels))}
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.network = Tagger(encoder, len(self.tag_ids)).train()
        _copy_decoder(ours.network, self.network)
        self.optimizer = torch.optim.AdamW(self._groups(), fused=True)

    def _groups(self) -> list[dict[str, Any]]:
        return [
            {
                "params": [parameter],
                "lr": ENCODER_LEARN_RATE if name.startswith("encoder.") else LEARN_RATE,
                "weight_decay": WEIGHT_DECAY if parameter.ndim > 1 else 0.0,
            }
            for name, parameter in self.network.named_parameters()
        ]

    def collate(self, posts: Sequence[Post]) -> Batch:
        words = [post.words for post in posts]
        read = self.tokenizer(
            words, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt"
        )
        lengths = [len(one) for one in words]
        firsts = np.zeros((2, len(posts), max(lengths)), dtype=np.int64)
        for i, post in enumerate(posts):
            of_piece = read.word_ids(i)
            new = [c for c, w in enumerate(of_piece) if w is not None and w != of_piece[c - 1]]
            firsts[0, i, : lengths[i]] = new
            firsts[1, i, : lengths[i]] = [self.tag_ids[tag] for tag in post.tags]
        columns, tags = torch.from_numpy(firsts)
        return Batch(
            read["input_ids"], read["attention_mask"], columns, tags, torch.tensor(lengths)
        )

    def step(self, posts: Sequence[Post]) -> float:
        with self.clock("featurize"):
            batch = self.collate(posts)
        with self.clock("forward"):
            emissions = self.network(batch)
        with self.clock("loss"):
            loss = self.criterion(self.network, emissions, batch)
        with self.clock("backward"):
            loss.backward()
        with self.clock("optimizer"):
            nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return loss.item()


@torch.no_grad()
def _copy_decoder(source: Any, target: Tagger) -> None:
    """Our weights; what our CRF rules out has a prohibitive score in theirs."""
    ours, theirs = source.decode, target.crf
    target.emit.load_state_dict(ours.emit.state_dict())
    theirs.transitions.copy_(ours.transitions.masked_fill(~ours.transition_allowed, FORBIDDEN))
    theirs.start_transitions.copy_(ours.start.masked_fill(~ours.start_allowed, FORBIDDEN))
    theirs.end_transitions.copy_(ours.end)


def report(result: dict[str, Any]) -> None:
    longest = result["pieces, longest post of a batch"]
    print(f"\nbatch of {result['batch size']}, longest post {longest:.1f} pieces")
    report_times(result)


if __name__ == "__main__":
    main()
