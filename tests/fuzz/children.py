"""Children that read mutants: of one format in turn, within limits, telling what became of each.

One that dies, hangs or hungers is a finding and named; a new child goes on behind it.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchangeai.archives import groups_of
from exchangeai.deidentify import deidentified
from exchangeai.errors import ExchangeaiError
from exchangeai.formats import read_records, readers
from tests.fuzz.archives import ARCHIVES, LIMITS
from tests.fuzz.mutants import mutant
from tests.fuzz.seeds import Seed

LONGEST_S = 5
MEMORY_BYTES = 512 << 20
_STALLED_S = 20


@dataclass
class Figures:
    """What became of one format's mutants."""

    mutants: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    slowest_s: float = 0.0
    peak_bytes: int = 0
    findings: list[str] = field(default_factory=list[str])


class _TooSlow(BaseException):
    """Raised by the alarm clock; no reader catches it."""


def fuzz(name: str, found: list[Seed], count: int) -> Figures:
    """Read `count` mutants of a format's seeds, or of archives."""
    figures = Figures()
    while figures.mutants < count:
        figures = _in_a_child(name, found, figures, count)
        if figures.mutants < count:
            again = _in_a_child(name, found, Figures(mutants=figures.mutants), figures.mutants + 1)
            what = "the child died or hung"
            if again.mutants == figures.mutants:
                figures.findings.append(f"mutant {figures.mutants}: {what}")
            figures.outcomes[what if again.mutants == figures.mutants else f"{what} once"] += 1
            figures.mutants += 1
    return figures


def _in_a_child(name: str, found: list[Seed], figures: Figures, end: int) -> Figures:
    # Not a plain fork: the threads of libraries that this process has used would be missing in it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(there, name, found, figures.mutants, end))
    child.start()
    there.close()
    try:
        _listen(here, figures)
    finally:
        child.kill()
        child.join()
    return figures


def _listen(here: multiprocessing.connection.Connection[Any, Any], figures: Figures) -> None:
    while True:
        try:
            if not here.poll(_STALLED_S):
                return
            number, outcome, spent_s, peak_bytes = here.recv()
        except EOFError:
            return
        figures.mutants = number + 1
        figures.outcomes[outcome.partition(":")[0]] += 1
        figures.slowest_s = max(figures.slowest_s, spent_s)
        figures.peak_bytes = max(figures.peak_bytes, peak_bytes)
        if ":" in outcome:
            figures.findings.append(f"mutant {number}: {outcome}")


def _child(there: Any, name: str, found: list[Seed], begin: int, count: int) -> None:
    signal.signal(signal.SIGALRM, _ring)
    warnings.simplefilter("ignore")
    readers()
    mapped = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES, mapped + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(begin, count):
        work = _archive(number) if name == "archives" else _record(found, number)
        start = time.perf_counter()
        outcome = _outcome(work)
        spent_s = time.perf_counter() - start
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        there.send((number, outcome, spent_s, peak))


def _outcome(work: Iterator[str]) -> str:
    """`read`, the name of a refusal, or `defect: what`; the words of `work` are what is to be counted."""
    signal.alarm(LONGEST_S)
    try:
        return max(work, default="refused")
    except _TooSlow:
        return f"defect: over {LONGEST_S} s"
    except ExchangeaiError as e:
        return type(e).__name__ if type(e).__name__ != "ReaderCrashed" else "defect: out of memory"
    except BaseException as e:
        return f"defect: {type(e).__name__}: {str(e)[:100]}"
    finally:
        signal.alarm(0)


def _record(found: list[Seed], number: int) -> Iterator[str]:
    seed = found[number % len(found)]
    others = {f"{i}/{k}": v for i, x in enumerate(found) for k, v in x.files.items()}
    files = mutant(seed.name, number, seed.files, others)
    for result in read_records(files, seed.options):
        deidentified(result.recording)
        yield "read"


def _archive(number: int) -> Iterator[str]:
    names = sorted(ARCHIVES)
    name = names[number % len(names)]
    for group in groups_of(mutant(name, number, {name: ARCHIVES[name]()}, {}), LIMITS):
        yield "read" if group.error is None else "partly refused"


def _ring(*_: object) -> None:
    raise _TooSlow
