"""Draws a comparison: scores with their intervals, and scores by share of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchangeai.comparisons import ComparisonRow
from exchangeai.metrics import Estimate
from services.ui.figures import theme

ROW_PX = 46


def dots_and_whiskers(rows: Sequence[ComparisonRow], title: str, *, dark: bool) -> dict[str, Any]:
    """A dot and its 95 % interval for each architecture on validation and, below it, on the test part."""
    c = theme.colours(dark=dark)
    ranked = [r for r in rows if r.validation is not None]
    places = list(range(len(ranked)))
    series = [("Validation (ranked by)", [r.validation for r in ranked], c.first, -0.13, "circle")]
    if any(r.test for r in ranked):
        series.append(("Test", [r.test for r in ranked], c.second, 0.13, "diamond"))
    data: list[dict[str, Any]] = []
    for name, scores, colour, offset, symbol in series:
        known = [(p + offset, s.score) for p, s in zip(places, scores, strict=True) if s is not None]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [s.value for _, s in known],
                "y": [p for p, _ in known],
                "error_x": _whiskers([s for _, s in known], colour),
                "marker": {"color": colour, "size": 9, "symbol": symbol},
                "hovertemplate": "%{x:.3f}<extra>" + name + "</extra>",
            }
        )
    return {
        "data": data,
        "layout": theme.layout(
            dark,
            height=112 + ROW_PX * len(ranked),
            margin={"l": 20, "r": 16, "t": 8, "b": 44},
            showlegend=len(series) > 1,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis=theme.axis(dark, title),
            yaxis=theme.axis(
                dark,
                "",
                tickvals=places,
                ticktext=[f"{_short(r.architecture)}  " for r in ranked],
                range=[len(ranked) - 0.5, -0.5],
                showgrid=False,
            ),
        ),
    }


def label_efficiency(rows: Sequence[ComparisonRow], title: str, *, dark: bool) -> dict[str, Any]:
    """The score on validation by the share of the training patients learned from."""
    c = theme.colours(dark=dark)
    data: list[dict[str, Any]] = []
    for i, row in enumerate(r for r in rows if r.label_efficiency):
        points = [p for p in row.label_efficiency if p.validation.value is not None]
        colour = c.series[i % len(c.series)]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": _short(row.architecture),
                "x": [100 * p.label_share for p in points],
                "y": [p.validation.value for p in points],
                "error_y": _whiskers([p.validation for p in points], colour),
                "line": {"color": colour, "width": 2, "dash": "solid" if i < len(c.series) else "dot"},
                "marker": {"size": 7},
                "text": [f"{p.patients} patients" for p in points],
                "hovertemplate": "%{x:g} %: %{y:.3f}<br>%{text}<extra>" + row.architecture + "</extra>",
            }
        )
    shares = sorted({p.label_share for r in rows for p in r.label_efficiency})
    return {
        "data": data,
        "layout": theme.layout(
            dark,
            height=320,
            margin={"l": 54, "r": 16, "t": 8, "b": 44},
            showlegend=len(data) > 1,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis=theme.axis(
                dark,
                "Share of the training patients, %",
                type="log",
                tickvals=[100 * s for s in shares],
                ticktext=[f"{100 * s:g}" for s in shares],
            ),
            yaxis=theme.axis(dark, title),
        ),
    }


def _whiskers(estimates: Sequence[Estimate], colour: str) -> dict[str, Any]:
    def reach(e: Estimate, end: float | None) -> float:
        return abs(end - e.value) if e.value is not None and end is not None else 0.0

    return {
        "type": "data",
        "symmetric": False,
        "array": [reach(e, e.high) for e in estimates],
        "arrayminus": [reach(e, e.low) for e in estimates],
        "color": colour,
        "thickness": 1.5,
        "width": 5,
    }


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
