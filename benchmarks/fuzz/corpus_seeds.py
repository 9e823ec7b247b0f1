"""Small valid corpora, in every format."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from PIL import Image
from spacy.tokens import Doc, DocBin

CONLL = """IMGID:1015799
Duke\tB-PER
Dumont\tI-PER
🎸\tO

IMGID:17_06_4705,17_06_4706
the O
Eagles NN I-ORG
fans\tI-LOC

IMGID:O_3498

lost\tB-LOC
IMGID:a.jpg b.png
end\tO
"""
WEIBO = """WID:1015799
猫\tB-MISC
在\tO
家\tO

WID:2
好\tO
"""
CAPTIONS = "1015799\ta man plays the guitar 🎸\n17_06_4705.jpg\tan eagle\na\t\n"

RECORDS: list[dict[str, Any]] = [
    {
        "id": "1015799",
        "text": "Duke Dumont 🎸 at Ibiza",
        "image": "1015799.jpg",
        "spans": [
            {"start": 0, "end": 11, "label": "PER", "token_start": 0, "token_end": 1},
            {"start": 17, "end": 22, "label": "LOC"},
        ],
        "missing": [{"start": 12, "end": 13}],
        "image_text": "a man plays the guitar",
        "image_objects": [{"label": "man", "score": 0.5, "box": [0, 0, 0.5, 1]}, "guitar"],
        "answer": "accept",
    },
    {
        "text": "go Eagles\n go",
        "tokens": [{"text": "go", "start": 0, "end": 2}, {"text": "Eagles", "start": 3, "end": 9}],
        "spans": [{"start": 3, "end": 9, "label": "ORG"}],
        "image": ["a.jpg", "data:image/png;base64,iVBORw0KGgo="],
        "image_features": [[0.5, -1.0], [1.5, 2.0]],
        "_view_id": "ner",
    },
    {"text": "nobody has looked at this one", "image": None},
]
LABELLED = {
    "start": 17,
    "end": 22,
    "text": "Ibiza",
    "labels": ["LOC"],
}
TASKS: list[dict[str, Any]] = [
    {
        "id": 7,
        "data": {
            "text": "Duke Dumont 🎸 at Ibiza",
            "image": "/data/local-files/?d=a%2F1015799.jpg",
        },
        "annotations": [
            {
                "was_canceled": False,
                "ground_truth": True,
                "result": [
                    {
                        "id": "x",
                        "type": "labels",
                        "from_name": "label",
                        "to_name": "text",
                        "value": LABELLED,
                    }
                ],
            }
        ],
        "predictions": [],
    },
    {
        "data": {
            "text": "go Eagles",
            "images": ["/data/upload/1/a.jpg"],
            "spacy_mner": {"id": "b", "image_features": [0.5, 1], "missing": []},
        }
    },
    {
        "id": 9,
        "annotation_id": 3,
        "text": "at Ibiza",
        "label": [{**LABELLED, "start": 3, "end": 8}],
    },
]


def corpus_seeds() -> dict[str, list[bytes]]:
    """Return corpora by file suffix."""
    return {
        ".txt": [CONLL.encode(), WEIBO.encode(), CONLL.replace("\n", "\r\n").encode()],
        ".jsonl": [_lines(RECORDS)],
        ".json": [json.dumps(TASKS, ensure_ascii=False, indent=1).encode()],
        ".spacy": [_packed(_docs()), _packed(_odd_docs())],
    }


def attachment_seeds() -> dict[str, list[bytes]]:
    """Return descriptors and captions for a conversion, by file suffix."""
    ids = np.array(["1015799", "17_06_4705.jpg", "a"])
    return {
        ".npz": [
            _npz(ids=ids, features=np.eye(3, 4, dtype=np.float32)),
            _npz(ids=ids, features=np.ones((3, 2, 4), np.float16)),
        ],
        ".tsv": [CAPTIONS.encode()],
    }


def _lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records).encode()


def _docs() -> list[Doc]:
    vocab = spacy.blank("en").vocab
    words = ["Duke", "Dumont", "🎸", "at", "Ibiza"]
    tags = ["B-PER", "I-PER", "O", "O", "B-LOC"]
    one = Doc(vocab, words=words, ents=tags)
    one.user_data["spacy_mner.post_id"] = "1015799"
    one._.image, one._.image_text = "1015799.jpg", "a man"
    two = Doc(vocab, words=words, spaces=[True, False, True, True, False])
    two._.image, two._.image_features = ["a.jpg", b"\x89PNG"], np.eye(2, dtype=np.float32)
    return [one, two]


def _odd_docs() -> list[Doc]:
    """Docs with values of unexpected types."""
    image = Image.new("RGB", (2, 2))
    odd: list[Any] = [5, {"a": [1]}, [[], [None]], True, b"", "", Path("a.jpg"), 1e300, [image]]
    vocab = spacy.blank("en").vocab
    docs = []
    for value in odd:
        doc = Doc(vocab, words=["a", "b"])
        doc.user_data["spacy_mner.post_id"] = value
        # Bypasses the checks of the attributes, as files of other programs do.
        for name in ("image", "image_features", "image_objects", "image_text"):
            doc.user_data["._.", name, None, None] = value
        docs.append(doc)
    return docs


def _packed(docs: list[Doc]) -> bytes:
    return DocBin(docs=docs, store_user_data=True).to_bytes()


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
