"""Time of `import spacy_mner` after `import spacy`, each in a new interpreter.

python benchmarks/import_time.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

PROGRAM = """
import time
import spacy
start = time.perf_counter()
import spacy_mner
print(1000 * (time.perf_counter() - start))
"""


def measure() -> float:
    """Return the milliseconds of one import."""
    command = [sys.executable, "-c", PROGRAM]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = [measure() for _ in range(parser.parse_args().runs)]
    print(f"{statistics.median(runs):.1f} ms ({min(runs):.1f} to {max(runs):.1f})")


if __name__ == "__main__":
    main()
