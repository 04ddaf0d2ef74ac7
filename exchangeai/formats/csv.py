"""Tables of numbers as text: comma, semicolon, tab or blank; with or without a header line.

Rate, unit and lead names come from the file's header where it states them, else from the caller, never from
a guess; a message may offer one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._stated import leads_of, rate_of, scale_of
from exchangeai.formats._table import Table, looks_like_table, parse_table
from exchangeai.formats._units import mv_per
from exchangeai.recording import Identifiers, Recording

RANK = 90
_TIME = re.compile(
    r"^(?:time|t|elapsed[ _]time|timestamp)\W*_?(?P<unit>s|sec|seconds?|ms|milliseconds?)?\W*$", re.I
)
_UNIT = re.compile(r"[\s_]*[\(\[]\s*(?P<unit>[A-Za-zµμ]+)\s*[\)\]]\s*$|[\s_]+(?P<bare>[muµμ]?V)\s*$")
_RATE_NOTE = re.compile(
    r"(?:sampl\w*[\s_]*(?:rate|freq\w*)|\bfs\b|frequency)[^\d:=]*[:=]+\s*(?P<rate>\d+(?:\.\d+)?)", re.I
)
_UNIT_NOTE = re.compile(r"\bunits?\b[^:=]*[:=]+\s*(?P<unit>[A-Za-zµμ]+)", re.I)


def sniff(files: Mapping[str, bytes]) -> bool:
    """Text whose lines are numbers, after at most a few lines of header."""
    return len(files) == 1 and looks_like_table(next(iter(files.values())))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read samples in columns, one a lead; a column of times gives the rate."""
    table = parse_table(next(iter(files.values())))
    values, names = table.values, table.names
    in_file_hz = _noted_rate(table)
    warnings: list[str] = []
    if names and (time := _TIME.match(names[0])) and values.shape[1] > 1:
        per_s = {"m": 1e3, "s": 1.0}.get((time["unit"] or " ")[0].lower())
        if per_s is not None:
            in_file_hz = _rate_of_times(values[:, 0] / per_s)
        else:
            warnings.append("the column of times states no unit and was not used")
        values, names = values[:, 1:], names[1:]
    rate_hz = rate_of(options, in_file_hz)
    bare, scales = _units(table, names, values, options)
    if np.isnan(values).any():
        warnings.append("the table has empty cells; they count as missing values")
    leads = leads_of(values, options, rate_hz=rate_hz, scales=scales, names=bare)
    recording = Recording(format="csv", leads=leads, warnings=tuple(warnings))
    return [ReadResult(recording=recording, identifiers=Identifiers())]


def _noted_rate(table: Table) -> float | None:
    found = [float(x["rate"]) for note in table.notes if (x := _RATE_NOTE.search(note))]
    return found[0] if found else None


def _rate_of_times(times_s: npt.NDArray[np.float64]) -> float:
    steps = np.diff(times_s)
    if steps.size == 0 or not np.isfinite(steps).all() or times_s[-1] <= times_s[0]:
        raise InvalidHeader("the column of times does not increase; remove it and state `sampling_rate_hz`")
    step = (times_s[-1] - times_s[0]) / steps.size
    # Against the straight line too, because single steps vary by the rounding of written times.
    line = times_s[0] + step * np.arange(times_s.size)
    if np.abs(times_s - line).max() > step or steps.min() < 0 or steps.max() > 2.5 * np.median(steps):
        raise InvalidHeader("the samples are not evenly spaced in time; resample them before the upload")
    # Times are written with few digits, so that 500 Hz must not become 499.999999.
    return float(f"{1 / step:.6g}")


def _units(
    table: Table, names: tuple[str, ...] | None, values: npt.NDArray[np.float64], options: ReadOptions
) -> tuple[list[str] | None, list[float]]:
    """Names without their units, and millivolts per unit of each column."""
    noted = next((x["unit"] for note in table.notes if (x := _UNIT_NOTE.search(note))), None)
    in_file = mv_per(noted) if noted else None
    columns = max(values.shape)
    if names is None:
        return None, [_agreed(in_file, options, values)] * columns
    bare: list[str] = []
    scales: list[float] = []
    for name in names:
        found = _UNIT.search(name)
        stated = mv_per(found["unit"] or found["bare"]) if found else None
        bare.append(_UNIT.sub("", name) if stated is not None else name)
        scales.append(_agreed(stated if stated is not None else in_file, options, values))
    return bare, scales


def _agreed(in_file: float | None, options: ReadOptions, values: npt.NDArray[np.float64]) -> float:
    if in_file is None:
        return scale_of(options, _guess(values))
    if options.unit and mv_per(options.unit) != in_file:
        raise InvalidHeader("the file and the upload state different units; send the right one")
    return in_file


def _guess(values: npt.NDArray[np.float64]) -> str:
    spread = float(np.nanpercentile(values, 99.5) - np.nanpercentile(values, 0.5)) if values.size else 0.0
    if 50 <= spread <= 20_000:
        return " (a guess from their size, not applied: uV)"
    return " (a guess from their size, not applied: mV)" if 0.05 <= spread <= 20 else ""
