"""What a component saves, and what must still be so when it is loaded.

Beside its parts a saved component has a manifest: the SHA-256 of every part, the blocks that its
config made, and the fingerprints of what it reads and does not save (word vectors, image
encoders). It tells damage and mix-ups. It is no signature: who can write the parts can write
a manifest for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import spacy
import srsly
import torch

from ..about import __version__
from ..errors import LoadingError

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Part:
    """One file of a saved component. What `load` takes was checked against the manifest."""

    dump: Callable[[], bytes]
    load: Callable[[bytes], object]


@dataclass(frozen=True)
class Saved:
    """A component as it is saved.

    parts: file name to part, in the order in which they are loaded.
    blocks: place in the config to the block that stands there, in words.
    origins: names what the component reads and does not save, by modality. Called when the parts
        are loaded; raises where something is not there.
    """

    parts: Mapping[str, Part]
    blocks: Mapping[str, str]
    origins: Callable[[], dict[str, str]]

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """The content of every file. The manifest comes last: without it nothing is loaded."""
        digests = {}
        for name, part in self.parts.items():
            data = part.dump()
            digests[name] = hashlib.sha256(data).hexdigest()
            yield name, data
        manifest = {
            "format": FORMAT,
            "versions": _versions(),
            "parts": digests,
            "blocks": dict(self.blocks),
            "origins": self.origins(),
        }
        manifest["checksum"] = _checksum(manifest)
        yield MANIFEST, srsly.json_dumps(manifest, indent=2).encode()

    def load(self, read: Callable[[str], bytes | None], where: str) -> None:
        """Load the parts that `read` finds by their name, or refuse before any is loaded.

        where: the folder or the component, for messages. Raises LoadingError.
        """
        manifest = _read_manifest(read(MANIFEST), where)
        _check_blocks(manifest["blocks"], self.blocks, where)
        contents = {name: _checked(name, manifest, read, where) for name in self.parts}
        for name, part in self.parts.items():
            try:
                part.load(contents[name])
            except ImportError:
                raise  # It says what to install.
            # What does not fit shows in many ways: KeyError, RuntimeError of torch, …
            except Exception as error:
                reason = " ".join(str(error).split())
                raise LoadingError(
                    f"{where}: {name} is whole, but does not fit the config. Load it with the "
                    f"config.cfg that was saved with it. ({reason})"
                ) from error
        _check_origins(manifest["origins"], self.origins, where)


def read_bytes(data: bytes, where: str) -> dict[str, bytes]:
    """The contents by name that were saved as one piece of bytes. Raises LoadingError."""
    try:
        return dict(srsly.msgpack_loads(data))
    # What is cut off or damaged makes msgpack raise nearly anything.
    except Exception as error:
        raise LoadingError(
            f"The bytes of {where} cannot be read ({error}): they are cut off or damaged."
        ) from error


def _versions() -> dict[str, str]:
    """For whoever looks into the file; nothing depends on them."""
    return {
        "spacy-mner": __version__,
        "spacy": spacy.about.__version__,
        "torch": str(torch.__version__),
    }


def _checksum(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(srsly.json_dumps(rest, sort_keys=True).encode()).hexdigest()


def _read_manifest(data: bytes | None, where: str) -> dict[str, Any]:
    if data is None:
        raise LoadingError(
            f"{where} holds no complete multimodal_ner component: {MANIFEST} is missing. Copy the "
            "whole folder of the pipeline, or save it again."
        )
    try:
        manifest = srsly.json_loads(data)
        is_whole = manifest["checksum"] == _checksum(manifest)
    except (ValueError, TypeError, KeyError):
        is_whole = False
    if not is_whole:
        raise LoadingError(_damaged(MANIFEST, where))
    if manifest["format"] != FORMAT:
        raise LoadingError(
            f"{where} was saved by spacy-mner {manifest['versions']['spacy-mner']} in the format "
            f"{manifest['format']}; this is spacy-mner {__version__}, which reads the format "
            f"{FORMAT}. Install the version that saved it."
        )
    return manifest


def _checked(
    name: str, manifest: Mapping[str, Any], read: Callable[[str], bytes | None], where: str
) -> bytes:
    expected, data = manifest["parts"].get(name), read(name)
    if expected is None:
        excluded = name.split(".")[0]
        raise LoadingError(
            f'{where} was saved without {name}: load it with exclude=["{excluded}"], or save it '
            "whole."
        )
    if data is None:
        raise LoadingError(
            f"{where}: {name} is missing. Copy the whole folder of the pipeline, or save it again."
        )
    if hashlib.sha256(data).hexdigest() != expected:
        raise LoadingError(_damaged(name, where))
    return data


def _damaged(name: str, where: str) -> str:
    return (
        f"{where}: {name} is not what was saved; it is cut off, damaged, edited or of another "
        "pipeline. Copy the whole folder of the pipeline anew, or save it again."
    )


def _check_blocks(saved: Mapping[str, str], found: Mapping[str, str], where: str) -> None:
    for place in sorted({*saved, *found}):
        if saved.get(place) != found.get(place):
            raise LoadingError(
                f"{where} was saved with model.{place} = {saved.get(place, 'nothing')}, the config "
                f"makes {found.get(place, 'nothing')} of it. Undo the change in config.cfg, or "
                "train anew with it."
            )


def _check_origins(
    saved: Mapping[str, str], find: Callable[[], dict[str, str]], where: str
) -> None:
    try:
        found = find()
    except (ImportError, OSError, ValueError) as error:
        raise LoadingError(f"{where} needs something that is not here: {error}") from error
    for modality in sorted({*saved, *found}):
        if saved.get(modality) != found.get(modality):
            raise LoadingError(
                f"{where} was trained on {saved.get(modality, 'nothing')} in the modality "
                f"{modality!r}, here it gets {found.get(modality, 'nothing')}. Load it with the "
                "word vectors and image encoders that it was trained with, or train anew."
            )
