"""Runs cases in processes of their own, so that whatever a case does is seen and told.

A crash, a hang and too much memory end the process and no other; each is told with the number of
its case, which does the same again. Memory is measured as Linux counts it, and only there.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from .cases import Cases, Verdict

# Of the bound on memory: more than that cannot even be asked for. Libraries reserve addresses that
# they never use.
BACKSTOP = 4
MIB = 1 << 20
# What cases need, and takes seconds to load.
LIBRARIES = ["pyarrow.parquet", "spacy_mner.annotate.run", "spacy_mner.corpus.convert"]
# Seconds between two looks at a process that has not answered.
PATIENCE = 0.1
# For a process to start and to load its libraries.
START_SECONDS = 300.0


@dataclass(frozen=True)
class Bounds:
    """What a case may take.

    seconds: of processor time, so that a machine busy with other things makes no case hang.
    clock: seconds by the clock, for waiting that takes no processor time.
    bytes: of memory above what the process began with.
    """

    seconds: float = 5.0
    clock: float = 60.0
    bytes: int = 1 << 30


@dataclass(frozen=True)
class Finding:
    """What no case may do. kind: "crash", "hang", "memory" or "exception"."""

    kind: str
    case: int
    detail: str


@dataclass
class Report:
    """What became of the cases.

    verdicts: (what was tried, reason) → how often; the reason is "" where it was accepted.
    slowest: processor seconds and number of the slowest case.
    heaviest: bytes that a process had grown by at most, and the number of the case it did so in.
    """

    cases: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    heaviest: tuple[int, int] = (0, -1)

    def count(self, kind: str) -> int:
        """How many findings are of a kind."""
        return sum(finding.kind == kind for finding in self.findings)


@dataclass(frozen=True)
class _Answer:
    """What a process says of a case.

    seconds: of processor time.
    grown: bytes of the peak of its memory above its beginning.
    failure: the kind of the finding, where the case raised something; detail: what.
    """

    seconds: float
    grown: int
    verdict: Verdict
    failure: str = ""
    detail: str = ""


def run(cases: Cases, numbers: Iterable[int], bounds: Bounds, workers: int = 1) -> Report:
    """Run cases by their numbers in so many processes at once."""
    report, todo = Report(), _Shared(numbers)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        supervisions = [
            threads.submit(_supervise, todo, lambda: _Worker(cases, folder, bounds), report)
            for _ in range(workers)
        ]
        for supervision in supervisions:
            supervision.result()
    return report


class _Shared:
    """Numbers that several threads take from."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = iter(numbers)
        self.lock = threading.Lock()

    def take(self) -> int | None:
        with self.lock:
            return next(self._numbers, None)


def _supervise(todo: _Shared, start: Callable[[], _Worker], report: Report) -> None:
    """Give case after case to a process, and to a new one when it ended or grew too large."""
    worker: _Worker | None = None
    while (number := todo.take()) is not None:
        worker = worker or start()
        answer, findings = worker.ask(number)
        with todo.lock:
            _add(report, number, answer, findings)
        if answer is None or answer.grown > worker.bounds.bytes:
            worker.end()
            worker = None
    if worker is not None:
        worker.end()


def _add(report: Report, number: int, answer: _Answer | None, findings: list[Finding]) -> None:
    report.cases += 1
    report.findings += findings
    if answer is not None:
        report.verdicts.update(answer.verdict.items())
        if answer.seconds > report.slowest[0]:
            report.slowest = answer.seconds, number
        if answer.grown > report.heaviest[0]:
            report.heaviest = answer.grown, number


class _Worker:
    """A process that tries cases, as its parent sees it."""

    def __init__(self, cases: Cases, folder: str, bounds: Bounds) -> None:
        # A process of one thread, in which the libraries are loaded, is forked for each worker.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
        self.bounds = bounds
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, cases, folder, bounds))
        self._process.daemon = True
        self._process.start()
        theirs.close()
        if not self._ours.poll(START_SECONDS):
            raise TimeoutError("a process did not start")
        if problem := self._ours.recv():
            raise RuntimeError(problem)

    def ask(self, number: int) -> tuple[_Answer | None, list[Finding]]:
        """Try a case; without an answer, the process is of no more use."""
        began, used = time.monotonic(), self._processor_seconds()
        self._ours.send(number)
        while not self._ours.poll(PATIENCE):
            if self._processor_seconds() - used > self.bounds.seconds:
                return None, [Finding("hang", number, self._too_long)]
            if time.monotonic() - began > self.bounds.clock:
                return None, [Finding("hang", number, f"over {self.bounds.clock:g} s by the clock")]
        try:
            answer: _Answer = self._ours.recv()
        except EOFError:
            self._process.join()
            return None, [Finding("crash", number, _how_it_ended(self._process.exitcode))]
        return answer, list(self._findings(number, answer))

    def _findings(self, number: int, answer: _Answer) -> Iterator[Finding]:
        if answer.failure:
            yield Finding(answer.failure, number, answer.detail)
        if answer.seconds > self.bounds.seconds:
            yield Finding("hang", number, self._too_long)
        if answer.grown > self.bounds.bytes:
            yield Finding("memory", number, f"{answer.grown / MIB:,.0f} MiB")

    @property
    def _too_long(self) -> str:
        return f"over {self.bounds.seconds:g} s of processor time"

    def _processor_seconds(self) -> float:
        try:
            status = Path(f"/proc/{self._process.pid}/stat").read_text()
        except FileNotFoundError:  # it has ended, which shows in the pipe
            return 0.0
        # The name of the program, in brackets, may hold anything; the two times come 12 fields on.
        fields = status.rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._ours.close()


def _how_it_ended(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _work(parent: Connection, cases: Cases, folder: str, bounds: Bounds) -> None:
    """Try the cases whose numbers come from the parent, until it ends this process."""
    _be_quiet()
    own = Path(folder) / str(os.getpid())
    try:
        with _empty(own) as place:
            cases.prepare(place)
    except Exception:
        parent.send(traceback.format_exc())
        return
    start = _memory("VmRSS")
    ceiling = _memory("VmSize") + BACKSTOP * bounds.bytes
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent.send(None)
    while True:
        number = parent.recv()
        with _empty(own) as place:
            began = time.process_time()
            verdict, failure, detail = _try(cases, number, place)
            seconds = time.process_time() - began
        grown = _memory("VmHWM") - start
        parent.send(_Answer(seconds, grown, verdict, failure, detail))


def _try(cases: Cases, number: int, place: Path) -> tuple[Verdict, str, str]:
    try:
        return cases(number, place), "", ""
    except MemoryError:
        return {}, "memory", traceback.format_exc()
    except BaseException:
        return {}, "exception", traceback.format_exc()


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _be_quiet() -> None:
    """Damaged files make libraries talk. An interrupt is the parent's, which ends its children."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _memory(name: str) -> int:
    """A figure of this process in bytes, by the name that Linux gives it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) * 1024
