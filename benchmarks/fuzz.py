"""A long fuzz run: damaged images, corpora and rows, none of which may do any harm.

    python benchmarks/fuzz.py --images 20000 --corpora 20000 --rows 20000 --seed 0
    python benchmarks/fuzz.py --replay corpus-17 --seed 0

Each case runs in a process that is watched. A finding is a crash, a hang (5 s of processor time, or
60 s by the clock), memory of over 1 GiB above what the process began with, or an exception other
than the one that says in words why a file is refused; for rows (inputs of bulk annotation), also an
output that is not the rows of the input in order, each annotated or with its error. Cases are the
same for the same seed and versions of the libraries that write what is damaged. Prints a table;
ends with 1 where anything was found. Needs Linux.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import PIL
import pyarrow
import spacy
import typer

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.fuzz.cases import Cases
from tests.fuzz.corpus_cases import CorpusCases
from tests.fuzz.image_cases import ImageCases
from tests.fuzz.row_cases import RowCases
from tests.fuzz.runner import MIB, Bounds, Report, run

KINDS = {"image": ImageCases, "corpus": CorpusCases, "row": RowCases}
# Reasons that a row of the table names.
SHOWN = 4


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    images: Annotated[int, typer.Option(help="Damaged images.")] = 20_000,
    corpora: Annotated[int, typer.Option(help="Damaged corpora.")] = 20_000,
    rows: Annotated[int, typer.Option(help="Damaged inputs of bulk annotation.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the damage.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes at once.")] = 1,
    replay: Annotated[
        str,
        typer.Option(help="Run one case in this process, unwatched: image-N, corpus-N or row-N."),
    ] = "",
) -> None:
    """Damage files and see what becomes of them."""
    if replay:
        _replay(replay, seed)
        return
    _print_versions(seed, workers)
    reports = {}
    for (kind, cases_of), n in zip(KINDS.items(), (images, corpora, rows), strict=True):
        cases = cases_of(seed)
        begun = time.perf_counter()
        reports[kind] = run(cases, range(n), Bounds(), workers)
        minutes = (time.perf_counter() - begun) / 60
        print(f"\n{n:,} cases ({kind}) in {minutes:.1f} minutes\n", flush=True)
        _print_verdicts(reports[kind])
        _print_findings(kind, cases, reports[kind])
    _print_summary(reports)
    sys.exit(any(report.findings for report in reports.values()))


def _replay(name: str, seed: int) -> None:
    kind, _, number = name.partition("-")
    if kind not in KINDS or not number.isdecimal():
        raise SystemExit(f"--replay takes image-N, corpus-N or row-N, not {name}")
    cases: Cases = KINDS[kind](seed)
    content, made = cases.file(int(number))
    print(f"{name}: {made}; {len(content):,} bytes, which begin {content[:64]!r}")
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        verdict = cases(int(number), Path(folder))
    for tried, reason in verdict.items():
        print(f"{tried}: {reason or 'accepted'}")
    print(f"{time.perf_counter() - begun:.2f} s")


def _print_versions(seed: int, workers: int) -> None:
    modules = [PIL, pyarrow, spacy]
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in modules)
    print(f"Python {platform.python_version()}, {versions}; seed {seed}, {workers} processes")


def _print_verdicts(report: Report) -> None:
    print("| tried | accepted | refused | most frequent reasons |\n|---|--:|--:|---|")
    for tried in sorted({tried for tried, _ in report.verdicts}):
        reasons = Counter({r: n for (t, r), n in report.verdicts.items() if t == tried})
        accepted = reasons.pop("", 0)
        shown = ", ".join(f"{reason} ({n:,})" for reason, n in reasons.most_common(SHOWN))
        print(f"| {tried} | {accepted:,} | {reasons.total():,} | {shown} |")


def _print_findings(kind: str, cases: Cases, report: Report) -> None:
    for finding in report.findings:
        made = cases.file(finding.case)[1]
        print(f"\n{finding.kind} in {kind}-{finding.case} ({made}):\n{finding.detail}")


def _print_summary(reports: dict[str, Report]) -> None:
    print(
        "\n| cases | number | crashes | hangs | over the memory | other exceptions "
        "| slowest case | most memory |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for kind, report in reports.items():
        counts = [report.count(found) for found in ("crash", "hang", "memory", "exception")]
        cells = [kind, f"{report.cases:,}", *map(str, counts)]
        cells.append(f"{report.slowest[0]:.2f} s ({report.slowest[1]})")
        cells.append(f"{report.heaviest[0] / MIB:,.0f} MiB ({report.heaviest[1]})")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    app()
