"""Draws a laid-out sheet as Plotly JSON: axes in seconds and millivolts, a whole number of pixels per mm."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.ui.figures.geometry import GAIN_MM_PER_MV, GRID_MM, SPEED_MM_PER_S, Line, Samples, Sheet

PX_PER_MM = 4
"""A whole number, so that all grid lines are equally wide; 4 also fits a display at 125 %."""
GRAPH_CONFIG: dict[str, Any] = {"displayModeBar": False, "staticPlot": True, "showSendToCloud": False}


@dataclass(frozen=True, kw_only=True)
class Ink:
    """Colours of paper and pen."""

    paper: str
    minor: str
    major: str
    trace: str


LIGHT = Ink(paper="#fffdfb", minor="#f6d3d0", major="#e79b95", trace="#111111")
DARK = Ink(paper="#14181c", minor="#22313a", major="#35505e", trace="#7CFC9A")


def draw(sheet: Sheet, *, dark: bool = False, px_per_mm: int = PX_PER_MM) -> dict[str, Any]:
    """A figure for `dcc.Graph`; its size in pixels is exactly the sheet's in mm times `px_per_mm`."""
    ink = DARK if dark else LIGHT
    pen = {"color": ink.trace, "width": 1.25, "simplify": True}
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": t.lead,
            "line": pen,
            "hoverinfo": "skip",
            "x0": t.x0_mm / SPEED_MM_PER_S,
            "dx": t.dx_mm / SPEED_MM_PER_S,
            "y": _packed(t.y_mm),
        }
        for t in sheet.traces
    ]
    # simplify would round the square corners of the pulse.
    square = {**pen, "simplify": False}
    traces += [_strokes("calibration", sheet.pulses, square), _strokes("separator", sheet.separators, square)]
    return {
        "data": traces,
        "layout": {
            "width": round(sheet.width_mm * px_per_mm),
            "height": round(sheet.height_mm * px_per_mm),
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0, "pad": 0},
            "paper_bgcolor": ink.paper,
            "plot_bgcolor": ink.paper,
            "showlegend": False,
            "hovermode": False,
            "xaxis": _axis(sheet.width_mm, SPEED_MM_PER_S, ink),
            "yaxis": _axis(sheet.height_mm, GAIN_MM_PER_MV, ink),
            "annotations": [
                {
                    "text": f"<b>{label.text}</b>",
                    "showarrow": False,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "x": label.x_mm / SPEED_MM_PER_S,
                    "y": label.y_mm / GAIN_MM_PER_MV,
                    "borderpad": 0,
                    "font": {"family": "Arial, Liberation Sans, sans-serif", "size": 13, "color": ink.trace},
                }
                for label in sheet.labels
            ],
        },
    }


def footer(rates_hz: Sequence[float], filtered: str, *, start_s: float = 0.0, duration_s: float = 0.0) -> str:
    """What the reader must know of the tracing: scale, and all that was done to the signal."""
    rates = " / ".join(f"{r:g}" for r in dict.fromkeys(rates_hz)) or "—"
    parts = [
        f"{SPEED_MM_PER_S:g} mm/s",
        f"{GAIN_MM_PER_MV:g} mm/mV",
        filtered,
        f"recorded at {rates} Hz",
        "each lead around its median",
    ]
    if duration_s > 10.5:
        parts.append(f"{start_s:g}–{min(start_s + 10, duration_s):g} s of {duration_s:g} s")
    return "  ·  ".join(parts)


def _axis(length_mm: float, mm_per_unit: float, ink: Ink) -> dict[str, Any]:
    step = GRID_MM / mm_per_unit
    return {
        "range": [0, length_mm / mm_per_unit],
        "fixedrange": True,
        "zeroline": False,
        "showticklabels": False,
        "ticks": "",
        "showgrid": True,
        "gridcolor": ink.major,
        "gridwidth": 1,
        "layer": "below traces",
        "tickmode": "linear",
        "tick0": 0,
        "dtick": step,
        "minor": {"showgrid": True, "gridcolor": ink.minor, "gridwidth": 1, "tick0": 0, "dtick": step / 5},
    }


def _packed(y_mm: Samples) -> dict[str, str]:
    """Typed array in base64, a quarter of the size of decimal numbers."""
    y_mv = np.asarray(y_mm / GAIN_MM_PER_MV, "<f4")
    return {"dtype": "f4", "bdata": base64.b64encode(y_mv.tobytes()).decode()}


def _strokes(name: str, lines: Sequence[Line], pen: dict[str, Any]) -> dict[str, Any]:
    x: list[float | None] = []
    y: list[float | None] = []
    for line in lines:
        x += [*(v / SPEED_MM_PER_S for v in line.x_mm), None]
        y += [*(v / GAIN_MM_PER_MV for v in line.y_mm), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": pen,
        "hoverinfo": "skip",
        "x": x,
        "y": y,
    }
