"""Runs each case in a child process with limits on time and memory.

Linux only: memory is measured by the peak resident set size of the child.
"""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .cases import Cases, Verdict

MIB = 1 << 20
# The limit on the address space, as a multiple of the limit on memory: libraries reserve addresses
# that they never use.
ADDRESS_SPACE = 4


@dataclass(frozen=True)
class Limits:
    """Limits of one case.

    cpu_seconds: processor time, so that the load of the machine does not matter.
    seconds: wall-clock time, for a case that waits.
    bytes: of memory beyond what the parent process uses.
    """

    cpu_seconds: int = 5
    seconds: int = 60
    bytes: int = 1 << 30


@dataclass(frozen=True)
class Finding:
    """A case that broke a limit, crashed, or raised an unexpected exception.

    kind: "crash", "hang", "memory" or "exception".
    """

    kind: str
    case: int
    detail: str


@dataclass
class Report:
    """Results of a run.

    verdicts: number of cases by (what was tried, reason of the rejection or "").
    slowest: processor seconds and number of the slowest case.
    largest: bytes of memory and number of the largest case.
    """

    cases: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    largest: tuple[int, int] = (0, -1)

    def count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)


def run(cases: Cases, numbers: Iterable[int], limits: Limits, workers: int = 1) -> Report:
    """Run cases by number, `workers` at a time."""
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        preparation = folder / "prepare"
        preparation.mkdir()
        cases.prepare(preparation)
        running: dict[int, int] = {}
        for number in numbers:
            if len(running) == workers:
                _wait(running, report, limits, folder)
            running[_fork(cases, number, limits, folder / str(number))] = number
        while running:
            _wait(running, report, limits, folder)
    return report


def _fork(cases: Cases, number: int, limits: Limits, folder: Path) -> int:
    """Start a case in a child process and return its process id."""
    folder.mkdir()
    pid = os.fork()
    if not pid:
        try:
            _limit(limits)
            result = _try(cases, number, folder)
            (folder / "result").write_bytes(pickle.dumps(result))
        finally:
            os._exit(0)
    return pid


def _limit(limits: Limits) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    addresses = _memory("VmSize") + ADDRESS_SPACE * limits.bytes
    cpu_seconds = int(time.process_time()) + limits.cpu_seconds + 1
    resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limits.seconds)


def _try(cases: Cases, number: int, folder: Path) -> tuple[Verdict, str, str]:
    """Return the verdict, or the kind and traceback of a failure."""
    work = folder / "work"
    work.mkdir()
    try:
        return cases(number, work), "", ""
    except MemoryError:
        return {}, "memory", traceback.format_exc()
    except BaseException:
        return {}, "exception", traceback.format_exc()


def _wait(running: dict[int, int], report: Report, limits: Limits, folder: Path) -> None:
    """Wait for the oldest of the child processes and add its result to the report."""
    # Not for any child: this process may have others.
    pid, status, usage = os.wait4(next(iter(running)), 0)
    number = running.pop(pid)
    seconds = usage.ru_utime + usage.ru_stime
    size = max(usage.ru_maxrss * 1024 - _memory("VmRSS"), 0)
    result = folder / str(number) / "result"
    verdict, kind, detail = _killed(status)
    if not kind and result.exists():
        verdict, kind, detail = pickle.loads(result.read_bytes())
    elif not kind:
        kind, detail = "crash", f"exit code {os.waitstatus_to_exitcode(status)}, no result"
    if not kind and seconds > limits.cpu_seconds:
        kind, detail = "hang", f"{seconds:.1f} s of processor time"
    if not kind and size > limits.bytes:
        kind, detail = "memory", f"{size / MIB:,.0f} MiB"
    report.cases += 1
    report.verdicts.update(verdict.items())
    if kind:
        report.findings.append(Finding(kind, number, detail))
    report.slowest = max(report.slowest, (seconds, number))
    report.largest = max(report.largest, (size, number))
    shutil.rmtree(folder / str(number))


def _killed(status: int) -> tuple[Verdict, str, str]:
    if not os.WIFSIGNALED(status):
        return {}, "", ""
    name = signal.Signals(os.WTERMSIG(status)).name
    return {}, "hang" if name in ("SIGXCPU", "SIGALRM") else "crash", name


def _memory(name: str) -> int:
    """Return an entry of /proc/self/status in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) * 1024
