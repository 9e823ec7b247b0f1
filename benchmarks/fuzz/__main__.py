"""Fuzzing: corrupted images, corpora and inputs of bulk annotation.

    python -m benchmarks.fuzz --images 20000 --corpora 20000 --rows 20000 --seed 0
    python -m benchmarks.fuzz --replay corpus-17 --seed 0

Each case runs in a process of its own. Findings are crashes, hangs (5 s of processor time, or 60 s
of wall-clock time), more than 1 GiB of memory, and exceptions other than the documented errors; for
rows (inputs of bulk annotation), also an output other than the input's rows in order, each with its
annotation or its error. Cases depend on the seed and on the versions of the libraries that write
the original files. Prints a table; exits with 1 if there are findings. Linux only.
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

from .cases import Cases
from .corpus_cases import CorpusCases
from .image_cases import ImageCases
from .row_cases import RowCases
from .runner import MIB, Limits, Report, run

KINDS = {"image": ImageCases, "corpus": CorpusCases, "row": RowCases}
# Reasons per row of the table.
N_REASONS = 4


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    images: Annotated[int, typer.Option(help="Number of images.")] = 20_000,
    corpora: Annotated[int, typer.Option(help="Number of corpora.")] = 20_000,
    rows: Annotated[int, typer.Option(help="Number of inputs of bulk annotation.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    workers: Annotated[int, typer.Option(help="Parallel processes.")] = 1,
    replay: Annotated[
        str,
        typer.Option(help="Run one case without limits: image-N, corpus-N or row-N."),
    ] = "",
) -> None:
    """Try corrupted files."""
    if replay:
        _replay(replay, seed)
        return
    _print_versions(seed, workers)
    reports = {}
    for (kind, cases_of), n in zip(KINDS.items(), (images, corpora, rows), strict=True):
        cases = cases_of(seed)
        start = time.perf_counter()
        reports[kind] = run(cases, range(n), Limits(), workers)
        minutes = (time.perf_counter() - start) / 60
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
    content, description = cases.file(int(number))
    print(f"{name}: {description}; {len(content):,} bytes, starting with {content[:64]!r}")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        verdict = cases(int(number), Path(folder))
    for tried, reason in verdict.items():
        print(f"{tried}: {reason or 'accepted'}")
    print(f"{time.perf_counter() - start:.2f} s")


def _print_versions(seed: int, workers: int) -> None:
    modules = [PIL, pyarrow, spacy]
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in modules)
    print(f"Python {platform.python_version()}, {versions}; seed {seed}, {workers} processes")


def _print_verdicts(report: Report) -> None:
    print("| tried | accepted | refused | most frequent reasons |\n|---|--:|--:|---|")
    for tried in sorted({tried for tried, _ in report.verdicts}):
        reasons = Counter({r: n for (t, r), n in report.verdicts.items() if t == tried})
        accepted = reasons.pop("", 0)
        shown = ", ".join(f"{reason} ({n:,})" for reason, n in reasons.most_common(N_REASONS))
        print(f"| {tried} | {accepted:,} | {reasons.total():,} | {shown} |")


def _print_findings(kind: str, cases: Cases, report: Report) -> None:
    for finding in report.findings:
        description = cases.file(finding.case)[1]
        print(f"\n{finding.kind} in {kind}-{finding.case} ({description}):\n{finding.detail}")


def _print_summary(reports: dict[str, Report]) -> None:
    print(
        "\n| cases | number | crashes | hangs | over the memory limit | other exceptions "
        "| slowest case | largest case |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for kind, report in reports.items():
        counts = [report.count(found) for found in ("crash", "hang", "memory", "exception")]
        cells = [kind, f"{report.cases:,}", *map(str, counts)]
        cells.append(f"{report.slowest[0]:.2f} s ({report.slowest[1]})")
        cells.append(f"{report.largest[0] / MIB:,.0f} MiB ({report.largest[1]})")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    app()
