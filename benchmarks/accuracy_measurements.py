"""Measure the measurements against people and a device: `python -m benchmarks.accuracy_measurements`.

LUDB: what cardiologists marked in each lead of 99 people, in lead II and as the median over the leads (their
leads were filtered apart, so limb leads do not add up). QTDB: what a cardiologist marked on two leads. GE
12SL: what that program measured on 86 records of PTB-XL at 500 Hz, where we have 100 Hz. Limits were chosen
on subjects of odd numbers alone; those of even numbers say what to expect of others. `EXCHANGEAI_DATA` is
the folder with `ludb-500hz`, `qtdb-250hz` and `ptbxl-100hz`; `PEERS_PYTHON` the Python of an environment
with `peers-measure.txt`, without which there is no table of peers. Prints tables.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.about import about
from benchmarks.measurement_truths import RATE_HZ, WAVE_ENDS, Case, Values, ge, lead_two, ludb, qtdb

LIMITS_MS = {"P": (10, 15), "PR": (10, 10), "QRS": (10, 10), "QT": (25, 30)}
"""IEC 60601-2-25, global intervals of biological ECGs: largest mean difference, largest SD."""


def main() -> None:
    """Measure and print."""
    print({**about(), "command": "python -m benchmarks.accuracy_measurements"}, end="\n\n")
    sets = {"LUDB": list(ludb()), "QTDB": list(qtdb()), "GE 12SL": list(ge())}
    everyone = [x for cases in sets.values() for x in cases]
    _print_errors(everyone)
    _print_limits(sets["LUDB"])
    _print_wave_ends(sets["QTDB"])
    for name, cases in sets.items():
        ms = np.asarray([x.seconds for x in cases]) * 1e3
        print(f"\nMeasuring a record of {name}: {np.median(ms):.1f} ms of one core (median)", end="")
    print("\n")
    if "PEERS_PYTHON" in os.environ:
        _print_peers([*sets["LUDB"], *sets["GE 12SL"]], Path(os.environ["PEERS_PYTHON"]))


def _print_errors(cases: list[Case]) -> None:
    print(
        "| truth | value | n | mean | SD | median abs | mean abs | odd: mean abs | even: mean abs | absent |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for truth in dict.fromkeys(x for case in cases for x in case.truths):
        stated = [x for x in cases if truth in x.truths]
        for value in stated[0].truths[truth]:
            pairs = [(x, e) for x in stated if (e := error(value, x.found, x.truths[truth])) is not None]
            absent = sum(x.truths[truth][value] is not None and x.found[value] is None for x in stated)
            halves = [mean_abs(e for x, e in pairs if x.odd is odd) for odd in (True, False)]
            x = np.asarray([e for _, e in pairs])
            figures = (x.mean(), x.std(), np.median(np.abs(x)), np.abs(x).mean(), *halves)
            print(f"| {truth} | {value} | {x.size} | {' | '.join(f'{y:.1f}' for y in figures)} | {absent} |")


def _print_limits(cases: list[Case]) -> None:
    print("\n| LUDB, all leads | limit | everybody | odd | even |\n|---|---|---|---|---|")
    for value, (mean, sd) in LIMITS_MS.items():
        cells: list[str] = []
        for chosen in (cases, [x for x in cases if x.odd], [x for x in cases if not x.odd]):
            errors = [error(value, x.found, x.truths["LUDB, all leads"]) for x in chosen]
            known = np.asarray([x for x in errors if x is not None])
            met = "met" if abs(known.mean()) <= mean and known.std() <= sd else "missed"
            cells.append(f"{spread(known)} {met}")
        print(f"| {value} | {mean} ± {sd} | {' | '.join(cells)} |")


def _print_wave_ends(cases: list[Case]) -> None:
    """The mean over records of each record's mean and SD, as Martinez et al. have them."""
    print(
        "\n| QTDB, at each marked beat | marks | mean ± SD in a record | odd | even |\n|---|---|---|---|---|"
    )
    for end in WAVE_ENDS:
        cells: list[str] = []
        for chosen in (cases, [x for x in cases if x.odd], [x for x in cases if not x.odd]):
            by_record = [np.asarray(x.wave_ends_ms[end]) for x in chosen if x.wave_ends_ms.get(end)]
            means, sds = ([float(f(x)) for x in by_record] for f in (np.mean, np.std))
            cells.append(f"{np.mean(means):.1f} ± {np.mean(sds):.1f}, of means {np.std(means):.1f}")
        count = sum(len(x.wave_ends_ms.get(end, [])) for x in cases)
        print(f"| {end} | {count} | {' | '.join(cells)} |")


def _print_peers(cases: list[Case], python: Path) -> None:
    answers = _peers(cases, python)
    print(
        "| truth | method | PR | QRS | QT | QT median abs | no QT | ms |\n|---|---|---|---|---|---|---|---|"
    )
    ours = {"seconds": np.median([x.seconds for x in cases]), "values": [x.found for x in cases]}
    spent_s, found = zip(*(lead_two(x.windows) for x in cases), strict=True)
    alone = {"seconds": np.median(spent_s), "values": found}
    for truth in ("LUDB, lead II", "LUDB, all leads", "GE 12SL"):
        for method, answer in {"this, 12 leads": ours, "this, lead II": alone, **answers}.items():
            errors: dict[str, list[float]] = defaultdict(list)
            for case, found in zip(cases, answer["values"], strict=True):
                for value in ("PR", "QRS", "QT"):
                    e = error(value, found, case.truths.get(truth, {}))
                    if e is not None:
                        errors[value].append(e)
            cells = [spread(np.asarray(errors[x])) for x in ("PR", "QRS", "QT")]
            stated = sum(case.truths.get(truth, {}).get("QT") is not None for case in cases)
            cells += [f"{np.median(np.abs(errors['QT'])):.1f}", str(stated - len(errors["QT"]))]
            print(f"| {truth} | {method} | {' | '.join(cells)} | {answer['seconds'] * 1e3:.0f} |")


def _peers(cases: list[Case], python: Path) -> dict[str, dict[str, list[Values]]]:
    """What `measure_peers.py` prints, on the same windows."""
    mv = np.concatenate([x.windows.millivolts()[:1] for x in cases])
    samples = [int(x.windows.valid_samples[0]) for x in cases]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ecgs.npz"
        np.savez(path, mv=mv, rate_hz=RATE_HZ, samples=samples)
        command = [str(python), str(Path(__file__).with_name("measure_peers.py")), str(path)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def error(value: str, found: Values, truth: Values) -> float | None:
    """Ours less theirs; axes the short way around."""
    ours, theirs = found.get(value), truth.get(value)
    if ours is None or theirs is None:
        return None
    return (ours - theirs + 180) % 360 - 180 if value.endswith("axis") else ours - theirs


def mean_abs(x: Iterable[float]) -> float:
    """Of any numbers."""
    return float(np.abs(list(x)).mean())


def spread(x: npt.NDArray[np.floating]) -> str:
    """Mean and SD in words."""
    return f"{x.mean():.1f} ± {x.std():.1f}" if x.size else "none"


if __name__ == "__main__":
    main()
