"""Lays an ECG out on paper, in millimetres: which stroke goes where, before anything is drawn.

The origin is the lower left corner of the sheet; x grows to the right, y upwards. Baselines lie on the
5 mm grid, so that the calibration pulse lies on it as well. Time runs on across the columns of 3x4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from exchangeai.leads import STANDARD_12

Samples = npt.NDArray[np.float32]
LayoutName = Literal["3x4+1", "12x1"]

SPEED_MM_PER_S = 25.0
GAIN_MM_PER_MV = 10.0
PAGE_S = 10.0
"""Seconds on one sheet."""
LEFT_MM = 15.0
RIGHT_MM = 5.0
EDGE_MM = 2.0
"""Free space above and below the outermost traces, and between rows."""
MIN_ROW_MM = 20.0
GRID_MM = 5.0
PULSE_MM = (5.0, 10.0)
"""Width (200 ms) and height (1 mV) of the calibration pulse."""
RHYTHM_LEAD = "II"
COLUMNS = 4
LABEL_HEIGHT_MM = 4.0
LABEL_LETTER_MM = 2.5
LABEL_RISE_MM = 7.0
"""Height of a label above the baseline, when no wave is in its way."""


@dataclass(frozen=True, kw_only=True)
class PaperLead:
    """A lead as it comes to the paper."""

    samples_mv: Samples
    """float32 [samples], millivolts; NaN leaves a gap."""
    sampling_rate_hz: float
    derived: bool = False
    """Computed from other leads, not recorded; its label says so."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Evenly spaced samples of one lead."""

    lead: str
    x0_mm: float
    dx_mm: float
    y_mm: Samples


@dataclass(frozen=True, kw_only=True)
class Line:
    """Straight strokes through given points."""

    x_mm: tuple[float, ...]
    y_mm: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Label:
    """Text whose lower left corner is at the point."""

    text: str
    x_mm: float
    y_mm: float


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Everything on one sheet."""

    width_mm: float
    height_mm: float
    baselines_mm: tuple[float, ...]
    traces: tuple[Trace, ...]
    pulses: tuple[Line, ...]
    separators: tuple[Line, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, kw_only=True)
class _Cell:
    lead: str
    from_s: float
    """Within the page."""
    length_s: float


def lay_out(leads: Mapping[str, PaperLead], layout: LayoutName, start_s: float = 0.0) -> Sheet:
    """Lay out ten seconds from `start_s`. Leads are found by name; absent ones leave their place empty.

    Each lead is drawn around its own median, so that a recorder's offset does not move it off its row.
    """
    rows = _rows(leads, layout)
    cut = [[_cut(leads.get(c.lead), c, start_s) for c in row] for row in rows]
    rises = [
        [_label_rise(c.lead, leads.get(c.lead), y) for c, (_, y) in zip(*pair, strict=True)]
        for pair in zip(rows, cut, strict=True)
    ]
    up = [
        max([PULSE_MM[1], *(_peak(y) for _, y in row), *(r + LABEL_HEIGHT_MM for r in rise)])
        for row, rise in zip(cut, rises, strict=True)
    ]
    down = [max([0.0, *(_peak(-y) for _, y in row)]) for row in cut]
    baselines = _baselines(up, down)
    traces: list[Trace] = []
    labels: list[Label] = []
    for row, parts, heights, base in zip(rows, cut, rises, baselines, strict=True):
        for cell, (offset_s, y_mm), rise in zip(row, parts, heights, strict=True):
            lead = leads.get(cell.lead)
            x_mm = LEFT_MM + cell.from_s * SPEED_MM_PER_S
            labels.append(Label(text=_text(cell.lead, lead), x_mm=x_mm + 1.0, y_mm=base + rise))
            if lead is not None and y_mm.size:
                traces.append(
                    Trace(
                        lead=cell.lead,
                        x0_mm=x_mm + offset_s * SPEED_MM_PER_S,
                        dx_mm=SPEED_MM_PER_S / lead.sampling_rate_hz,
                        y_mm=(y_mm + np.float32(base)).astype(np.float32),
                    )
                )
    return Sheet(
        width_mm=LEFT_MM + PAGE_S * SPEED_MM_PER_S + RIGHT_MM,
        height_mm=_ceil(baselines[0] + up[0] + EDGE_MM),
        baselines_mm=tuple(baselines),
        traces=tuple(traces),
        pulses=tuple(_pulse(base) for base in baselines),
        separators=tuple(
            Line(x_mm=(x, x), y_mm=(base - 4.0, base + 4.0))
            for row, base in zip(rows, baselines, strict=True)
            for x in [LEFT_MM + c.from_s * SPEED_MM_PER_S for c in row[1:]]
        ),
        labels=tuple(labels),
    )


def _rows(leads: Mapping[str, PaperLead], layout: LayoutName) -> list[list[_Cell]]:
    """The cells of each row. A recording without any standard lead gets its own leads, one a row."""
    if not any(name in leads for name in STANDARD_12):
        return [[_Cell(lead=name, from_s=0.0, length_s=PAGE_S)] for name in leads] or [
            [_Cell(lead=RHYTHM_LEAD, from_s=0.0, length_s=PAGE_S)]
        ]
    if layout == "12x1":
        return [[_Cell(lead=name, from_s=0.0, length_s=PAGE_S)] for name in STANDARD_12]
    width_s = PAGE_S / COLUMNS
    per_column = len(STANDARD_12) // COLUMNS
    rows = [
        [
            _Cell(lead=STANDARD_12[column * per_column + row], from_s=column * width_s, length_s=width_s)
            for column in range(COLUMNS)
        ]
        for row in range(per_column)
    ]
    return [*rows, [_Cell(lead=RHYTHM_LEAD, from_s=0.0, length_s=PAGE_S)]]


def _cut(lead: PaperLead | None, cell: _Cell, start_s: float) -> tuple[float, Samples]:
    """(seconds from the cell's start to its first sample, heights in mm above the baseline)."""
    if lead is None:
        return 0.0, np.empty(0, np.float32)
    rate = lead.sampling_rate_hz
    from_s = start_s + cell.from_s
    first = math.ceil(from_s * rate - 1e-6)
    last = math.floor((from_s + cell.length_s) * rate + 1e-6)
    page = lead.samples_mv[max(round(start_s * rate), 0) : round((start_s + PAGE_S) * rate)]
    finite = page[np.isfinite(page)]
    middle = float(np.median(finite)) if finite.size else 0.0
    part = lead.samples_mv[first : last + 1]
    return first / rate - from_s, ((part - middle) * GAIN_MM_PER_MV).astype(np.float32)


def _label_rise(name: str, lead: PaperLead | None, y_mm: Samples) -> float:
    """Where a label stands so that no wave runs through it."""
    if lead is None:
        return LABEL_RISE_MM
    width_mm = 1.5 + LABEL_LETTER_MM * len(_text(name, lead))
    under = y_mm[: math.ceil(width_mm / SPEED_MM_PER_S * lead.sampling_rate_hz)]
    return max(LABEL_RISE_MM, _peak(under) + 1.0)


def _peak(y_mm: Samples) -> float:
    finite = y_mm[np.isfinite(y_mm)]
    return float(finite.max()) if finite.size else 0.0


def _baselines(up: Sequence[float], down: Sequence[float]) -> list[float]:
    """From the top row to the lowest: each row gets the room that its own signal needs."""
    heights = [_ceil(down[-1] + EDGE_MM)]
    for row in range(len(up) - 2, -1, -1):
        room = _ceil(down[row] + up[row + 1] + EDGE_MM)
        heights.insert(0, heights[0] + max(room, MIN_ROW_MM))
    return heights


def _ceil(value_mm: float) -> float:
    return GRID_MM * math.ceil(value_mm / GRID_MM - 1e-9)


def _pulse(base: float) -> Line:
    width, height = PULSE_MM
    left, right, top = 5.0, 5.0 + width, base + height
    return Line(
        x_mm=(left - 2.0, left, left, right, right, right + 2.0), y_mm=(base, base, top, top, base, base)
    )


def _text(name: str, lead: PaperLead | None) -> str:
    if lead is None:
        return f"{name} (absent)"
    return f"{name} (derived)" if lead.derived else name
