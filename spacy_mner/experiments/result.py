"""The one file that says that a run is finished, and what it was asked to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..errors import CorpusError
from ..utils.atomic_file import atomic_file
from ..utils.text import and_more, first
from .compose import flatten

RESULT = "result.json"
# Without these there is no table.
NAMES = frozenset(
    ("asked", "counts", "fingerprint", "machine", "parameters", "scores", "seed", "training")
)

# What a run was asked to do: `config`, dotted path → value; `data`, split → hash of its content;
# `split`, the one that is scored.
Asked = dict[str, Any]
Result = dict[str, Any]


def asked_of(config: Config, data: Mapping[str, str], split: str) -> Asked:
    """What makes a run the one that is wanted; where its files lie and its seed are no part."""
    parts = {name: block for name, block in config.items() if name not in ("paths", "system")}
    return {"config": flatten(parts), "data": dict(data), "split": split}


def fingerprint(asked: Asked) -> str:
    """Sixteen hexadecimal digits that are the same for the same run."""
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_result(folder: Path) -> Result | None:
    """The result of a run, or None where it is not finished."""
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    missing = sorted(NAMES - set(result if isinstance(result, dict) else ()))
    if missing:
        raise _damaged(path, f"no {missing[0]}")
    return result


def _damaged(path: Path, reason: str) -> CorpusError:
    return CorpusError(f"{path} is damaged ({reason}): delete its folder to run anew.")


def write_result(folder: Path, result: Result) -> None:
    """Write a result so that it is there whole or not at all."""
    with atomic_file(folder / RESULT) as file:
        file.write(json.dumps(result, ensure_ascii=False).encode() + b"\n")


def check_same(folder: Path, result: Result, asked: Asked) -> None:
    """Raise CorpusError where a finished run was asked to do something else."""
    if result["fingerprint"] == fingerprint(asked):
        return
    found = differences(result["asked"], asked)
    shown = "; ".join(filter(None, [*first(found), and_more(found)]))
    raise CorpusError(
        f"The finished run {folder} is another one: {shown}. "
        "Name another OUT, or delete that folder to run it anew."
    )


def differences(found: Asked, asked: Asked) -> list[str]:
    """What differs between two runs, a line each."""
    flat = [flatten(json.loads(json.dumps(one))) for one in (found, asked)]
    names = [
        name for name in {**flat[0], **flat[1]} if _value(flat[0], name) != _value(flat[1], name)
    ]
    return [_difference(name, *(_value(one, name) for one in flat)) for name in names]


def _difference(name: str, there: str, here: str) -> str:
    kind, _, rest = name.partition(".")
    if kind == "data":
        return f"the content of {rest} is not the same"
    return f"{rest or name} was {there} and is now {here}"


def _value(flat: dict[str, Any], name: str) -> str:
    return json.dumps(flat[name]) if name in flat else "not there"
