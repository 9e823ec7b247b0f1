"""The files of a saved component, and the checks with which they are loaded.

Beside its parts a saved component has a manifest: the format, the SHA-256 of every part, the
blocks of the config, and the fingerprints of external resources (word vectors, image encoders).
The manifest detects damage and mix-ups. It is not a signature: whoever can write the parts can
write a manifest for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import spacy
import srsly
import torch

from ..about import __version__
from ..errors import LoadingError, UsageError
from ..models.config_blocks import ConfigBlock, find_difference

MANIFEST = "manifest.json"
FORMAT = 3
NETWORK = "network.safetensors"

Manifest = dict[str, Any]
Contents = dict[str, bytes]
Component = TypeVar("Component", bound="SavedInParts")


def encoder_file(modality: str) -> str:
    """The file with the weights of an image encoder."""
    return f"{modality}_encoder.safetensors"


def _without_encoders(manifest: Manifest, contents: Contents) -> tuple[Manifest, Contents]:
    """Format 2 did not hold the weights of image encoders: empty content is their source."""
    resources = manifest["external_resources"].items()
    images = [name for name, resource in resources if resource.startswith("features of ")]
    return manifest, {**contents, **{encoder_file(name): b"" for name in images}}


# Format → a function that turns a component of this format into one of the next format.
# Format 1 was never released and has no entry.
MIGRATIONS: dict[int, Callable[[Manifest, Contents], tuple[Manifest, Contents]]] = {
    2: _without_encoders
}


@dataclass(frozen=True)
class Part:
    """One file of a saved component. `load` takes content that matches the manifest."""

    dump: Callable[[], bytes]
    load: Callable[[bytes], object]


@dataclass(frozen=True)
class SavedComponent:
    """The parts of a component, and what must be the same when it is loaded.

    parts: file name to part, in the order in which they are loaded.
    blocks: config path, relative to `model`, to the block there.
    external_resources: returns the fingerprint of every resource that the component reads and that
        is not trained with it, by modality: word vectors and image encoders. Called when the parts
        are loaded; raises where one is missing.
    """

    parts: Mapping[str, Part]
    blocks: Mapping[str, ConfigBlock]
    external_resources: Callable[[], dict[str, str]]

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """The name and content of every file. The manifest is last: without it nothing loads."""
        digests = {}
        for name, part in self.parts.items():
            data = part.dump()
            digests[name] = hashlib.sha256(data).hexdigest()
            yield name, data
        manifest = {
            "format": FORMAT,
            # For people who read the file; nothing depends on them, but a message.
            "versions": {
                "spacy-mner": __version__,
                "spacy": spacy.about.__version__,
                "torch": str(torch.__version__),
            },
            "parts": digests,
            "blocks": dict(self.blocks),
            "external_resources": self.external_resources(),
        }
        manifest["checksum"] = _checksum(manifest)
        yield MANIFEST, srsly.json_dumps(manifest, indent=2).encode()

    def load(
        self, read: Callable[[str], bytes | None], where: str, exclude: Collection[str]
    ) -> None:
        """Load all parts. After a LoadingError, the component must not be used.

        read: returns the content of a file, or None where it is missing.
        where: the folder or the component, for messages.
        exclude: names of parts that are not loaded.
        """
        manifest = _read_manifest(read(MANIFEST), where)
        names = [name for name in manifest["parts"] if not _is_excluded(name, exclude)]
        contents = {name: _read_part(name, manifest, read, where) for name in names}
        for version in range(manifest["format"], FORMAT):
            manifest, contents = MIGRATIONS[version](manifest, contents)
        self._check(manifest, contents, where)
        for name, part in self.parts.items():
            try:
                part.load(contents[name])
            except (ImportError, UsageError):
                raise  # The message names the package to install.
            # What does not match raises many errors: KeyError, RuntimeError of torch, …
            except Exception as error:
                reason = " ".join(str(error).split())
                raise LoadingError(
                    f"{where}: {name} does not match the config ({reason}). Load the pipeline with "
                    "the config.cfg that was saved with it."
                ) from error
        _check_resources(manifest["external_resources"], self.external_resources, where)

    def _check(self, manifest: Manifest, contents: Contents, where: str) -> None:
        difference = find_difference(manifest["blocks"], self.blocks)
        if difference is not None:
            raise LoadingError(
                f"{where}: {difference}. Undo the change in config.cfg, or train again."
            )
        for name in self.parts:
            if name not in contents:
                raise LoadingError(
                    f"{where} was saved without {name}: load it with "
                    f'exclude=["{name.split(".")[0]}"], or save it with all parts.'
                )


class SavedInParts:
    """The methods with which spaCy saves a component: the same parts as files and as bytes."""

    name: str

    def all_parts(self, exclude: Collection[str]) -> SavedComponent:
        """Return the files of the component. `exclude` is for what is inside of a file."""
        raise NotImplementedError

    def saved(self, exclude: Collection[str]) -> SavedComponent:
        """Return the files of the component, but those of `exclude`."""
        component = self.all_parts(exclude)
        parts = component.parts.items()
        kept = {name: part for name, part in parts if not _is_excluded(name, exclude)}
        return replace(component, parts=kept)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the component into a folder: JSON, msgpack and safetensors, and a manifest."""
        folder = Path(path)
        folder.mkdir(exist_ok=True)
        for name, content in self.saved(set(exclude)).dump():
            (folder / name).write_bytes(content)

    def from_disk(self: Component, path: str | Path, *, exclude: Iterable[str] = ()) -> Component:
        """Load what `to_disk` wrote. Raises LoadingError for anything else."""
        excluded = set(exclude)
        self.saved(excluded).load(partial(_read_file, Path(path)), str(path), excluded)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Return the component as bytes."""
        return srsly.msgpack_dumps(dict(self.saved(set(exclude)).dump()))

    def from_bytes(self: Component, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> Component:
        """Load what `to_bytes` returned. Raises LoadingError for anything else."""
        excluded = set(exclude)
        contents = _read_bytes(bytes_data, self.name)
        self.saved(excluded).load(contents.get, self.name, excluded)
        return self


def _is_excluded(name: str, exclude: Collection[str]) -> bool:
    """Whether a part is excluded; as everywhere in spaCy, `exclude` has names without suffixes."""
    return name.split(".")[0] in exclude


def _read_file(folder: Path, name: str) -> bytes | None:
    """The content of a file, or None where it is missing."""
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read_bytes(data: bytes, where: str) -> Contents:
    """The files by name in what `to_bytes` returned. Raises LoadingError."""
    try:
        return dict(srsly.msgpack_loads(data))
    # Truncated or damaged bytes make msgpack raise nearly any error.
    except Exception as error:
        raise LoadingError(
            f"The bytes of {where} cannot be read ({error}): they are truncated or damaged. "
            "Save the component again."
        ) from error


def _checksum(manifest: Manifest) -> str:
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(srsly.json_dumps(rest, sort_keys=True).encode()).hexdigest()


def _read_manifest(data: bytes | None, where: str) -> Manifest:
    if data is None:
        raise LoadingError(
            f"{where} holds no complete component: {MANIFEST} is missing. Copy the whole folder of "
            "the pipeline, or save it again."
        )
    try:
        manifest = srsly.json_loads(data)
        is_intact = manifest["checksum"] == _checksum(manifest)
    except (ValueError, TypeError, KeyError):
        is_intact = False
    if not is_intact:
        raise LoadingError(_damaged(MANIFEST, where))
    found = manifest["format"]
    if found == FORMAT or found in MIGRATIONS:
        return manifest
    remedy = (
        f"Install spacy-mner {manifest['versions']['spacy-mner']} or later."
        if found > FORMAT
        else "No release has written this format: train the pipeline again with this version."
    )
    raise LoadingError(
        f"{where} was saved in format {found}; spacy-mner {__version__} writes format {FORMAT}. "
        f"{remedy}"
    )


def _read_part(
    name: str, manifest: Manifest, read: Callable[[str], bytes | None], where: str
) -> bytes:
    data = read(name)
    if data is None:
        raise LoadingError(
            f"{where}: {name} is missing. Copy the whole folder of the pipeline, or save it again."
        )
    if hashlib.sha256(data).hexdigest() != manifest["parts"][name]:
        raise LoadingError(_damaged(name, where))
    return data


def _damaged(name: str, where: str) -> str:
    return (
        f"{where}: {name} is not what was saved: it is truncated, damaged, edited, or "
        "from another pipeline. Copy the whole folder of the pipeline again, or save it again."
    )


def _check_resources(
    saved: Mapping[str, str], find: Callable[[], dict[str, str]], where: str
) -> None:
    try:
        found = find()
    except (ImportError, OSError, ValueError) as error:
        raise LoadingError(
            f"{where} needs a resource that is missing or unusable: {error}"
        ) from error
    for modality in sorted({*saved, *found}):
        if saved.get(modality) != found.get(modality):
            raise LoadingError(
                f"{where}: modality {modality!r} was trained on {saved.get(modality, 'nothing')}, "
                f"but {found.get(modality, 'nothing')} is loaded. Load the pipeline with the word "
                "vectors and image encoders that it was trained with, or train again."
            )
