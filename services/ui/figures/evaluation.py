"""Draws what an evaluation and a search for a learning rate found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchangeai.facts import RateSearch
from exchangeai.metrics import ReliabilityBin
from services.ui.figures import theme

FEWEST_FOR_A_LINE = 20


def reliability(bins: Sequence[ReliabilityBin], *, dark: bool) -> dict[str, Any]:
    """How often a class held at each predicted probability; on the diagonal predictions are honest."""
    c = theme.colours(dark=dark)
    most = max((b.count for b in bins), default=1)
    share: dict[str, Any] = {"range": [-0.03, 1.03], "dtick": 0.25}
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0, 1],
                "y": [0, 1],
                "hoverinfo": "skip",
                "line": {"color": c.quiet, "width": 1, "dash": "dash"},
            },
            {
                "type": "scatter",
                # A line through bins of a few predictions would only show chance.
                "mode": "lines+markers" if most >= FEWEST_FOR_A_LINE else "markers",
                "x": [b.probability for b in bins],
                "y": [b.frequency for b in bins],
                "text": [f"{b.count} predictions" for b in bins],
                "hovertemplate": "predicted %{x:.2f}, held %{y:.2f}<br>%{text}<extra></extra>",
                "line": {"color": c.first, "width": 2},
                "marker": {"size": [5 + 7 * (b.count / most) ** 0.5 for b in bins]},
            },
        ],
        "layout": theme.layout(
            dark,
            height=300,
            margin={"l": 54, "r": 12, "t": 10, "b": 44},
            showlegend=False,
            xaxis=theme.axis(dark, "Predicted probability", **share),
            yaxis=theme.axis(dark, "Share in which it held", **share),
        ),
    }


def rate_search(search: RateSearch, *, dark: bool) -> dict[str, Any]:
    """The smoothed loss over the learning rate, the chosen rate marked."""
    c = theme.colours(dark=dark)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": list(search.rates),
                "y": list(search.losses),
                "hovertemplate": "rate %{x:.2g}: loss %{y:.3f}<extra></extra>",
                "line": {"color": c.second, "width": 2},
            }
        ],
        "layout": theme.layout(
            dark,
            height=220,
            margin={"l": 54, "r": 12, "t": 24, "b": 44},
            showlegend=False,
            shapes=[
                {
                    "type": "line",
                    "x0": search.chosen,
                    "x1": search.chosen,
                    "y0": 0,
                    "y1": 1,
                    "yref": "paper",
                    "line": {"color": c.text, "width": 1, "dash": "dash"},
                }
            ],
            xaxis=theme.axis(dark, "Learning rate", type="log", dtick=1, exponentformat="power"),
            yaxis=theme.axis(dark, "Loss, smoothed"),
        ),
    }
