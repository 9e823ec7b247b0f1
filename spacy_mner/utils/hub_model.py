"""Models of Hugging Face, by name on the hub or by folder; needs the extra `transformers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import UsageError

# In characters. Longer messages of the library list supported models rather than the cause.
LONGEST_REASON = 240


@dataclass(frozen=True)
class HubModel:
    """A model on the Hugging Face hub or in a folder, and what it is loaded as.

    name: on the hub, or a folder.
    revision: branch, tag or commit on the hub; None for the default branch.
    role: for messages, such as "text encoder".
    files: by class of transformers, the file that it loads.
    """

    name: str
    revision: str | None
    role: str
    files: Mapping[str, str]

    def load(self, kind: str, **settings: Any) -> Any:
        """Call `transformers.<kind>.from_pretrained`; raises ValueError if that fails.

        Raises UsageError where the model needs a package that is not installed.

        kind: a key of `files`.
        """
        load = getattr(import_library("transformers"), kind).from_pretrained
        if self._is_folder and not Path(self.name).is_dir():
            raise self.error("there is no such folder")
        # Without a config.json, the library guesses the model type from the folder's name.
        if self._is_folder and not (Path(self.name) / "config.json").is_file():
            raise self.error("the folder has no config.json")
        try:
            return load(self.name, revision=self.revision or "main", **settings)
        except ImportError as error:
            # The message of the library names the package and how to install it.
            reason = " ".join(str(error).split())
            raise UsageError(f"Cannot load the {self.role} {self.name!r}: {reason}") from error
        # The library raises errors of many types for damaged and missing files, even Exception.
        except Exception as error:
            reason = first_line(error)
            if self._is_folder:
                # Some messages of the library are about the hub, or list all supported models.
                is_specific = "huggingface.co" not in reason and len(reason) < LONGEST_REASON
                file = self.files[kind]
                reason = f"its {file} cannot be read{f' ({reason})' if is_specific else ''}"
            raise self.error(reason) from error

    @property
    def _is_folder(self) -> bool:
        """Whether the name can only be a folder: on the hub it has at most one slash."""
        path, name = Path(self.name), self.name
        is_path = path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
        return is_path or path.exists()

    def error(self, reason: str) -> ValueError:
        """Return the error to raise where files are missing or cannot be read."""
        hub = "" if self._is_folder else ", or the name of a model on huggingface.co"
        files = ", ".join(self.files.values())
        return ValueError(
            f"Cannot load the {self.role} {self.name!r}: {reason}. Use a folder with {files}{hub}."
        )


def build_from_config(config: Mapping[str, Any]) -> Any:
    """Build a model in float32 without initializing its weights, which are loaded next.

    config: its config.json.
    """
    library = import_library("transformers")
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # transformers 4
        from transformers.modeling_utils import no_init_weights
    # Without its dtype (torch_dtype in transformers 4), a model is built in float32.
    kept = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    with no_init_weights():
        return library.AutoModel.from_config(library.AutoConfig.for_model(**kept))


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, without its period."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


def import_library(package: str) -> Any:
    """Import the optional package transformers, or tokenizers, on which it depends."""
    try:
        return import_module(package)
    except ImportError as error:
        raise _missing(package) from error


def check_transformers() -> None:
    """Raise UsageError if the package transformers is not installed. Imports nothing."""
    if find_spec("transformers") is None:
        raise _missing("transformers")


def _missing(package: str) -> UsageError:
    return UsageError(
        f"A model of Hugging Face needs the package {package}: "
        f"pip install 'spacy-mner[transformers]', or {package} alone."
    )
