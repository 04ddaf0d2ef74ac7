"""`make fuzz`: ten thousand mutants and more of each format, in limited children; writes the figures down."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from benchmarks.about import about
from tests.fuzz.children import LONGEST_S, MEMORY_BYTES, Figures, fuzz
from tests.fuzz.seeds import Seed, seeds

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def main() -> int:
    """Fuzz all formats, or those named; 1 when there are findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--mutants", type=int, default=10_000, help="of each format")
    arguments = parser.parse_args()
    found: dict[str, list[Seed]] = seeds()
    names = arguments.formats or [*found, "archives"]
    rows: dict[str, Figures] = {}
    for name in names:
        rows[name] = fuzz(name, found.get(name, []), arguments.mutants)
        print(_row(name, rows[name]), flush=True)
        for finding in rows[name].findings[:20]:
            print(f"    {finding}", flush=True)
    if not arguments.formats:
        _write(rows)
    return 1 if any(x.findings for x in rows.values()) else 0


def _row(name: str, figures: Figures) -> str:
    read = figures.outcomes["read"]
    refused = ", ".join(f"{k} {n}" for k, n in figures.outcomes.most_common() if k not in ("read", "defect"))
    return (
        f"| {name} | {figures.mutants:,} | {read:,} | {refused} | {figures.slowest_s * 1e3:.0f} | "
        f"{figures.peak_bytes >> 20} | {len(figures.findings)} |"
    )


def _write(rows: dict[str, Figures]) -> None:
    facts = about()
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        "# Mutants of every format",
        "",
        f"`make fuzz`, {date}, {facts['machine']}, commit {facts['commit']}. Each mutant is a sample with",
        f"one to six edits, read in a child with {MEMORY_BYTES >> 20} MB beyond its start. A finding is an",
        f"error that is not ours, a crash, more memory, or more than {LONGEST_S} s.",
        "",
        "| format | mutants | read | refused by reason | slowest, ms | peak, MB above start | findings |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_row(name, x) for name, x in rows.items()),
    ]
    (RESULTS / f"fuzz_{date}.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
