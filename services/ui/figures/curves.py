"""Draws how a run learns: losses and validation AUROC by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchangeai.facts import Epoch
from services.ui.figures import theme


def learning_curve(epochs: Sequence[Epoch], best_epoch: int, *, dark: bool = False) -> dict[str, Any]:
    """A figure for `dcc.Graph`: losses on the left axis, macro-AUROC on the right, the best epoch marked."""
    c = theme.colours(dark=dark)
    text, line, ground = c.text, c.line, c.ground
    x = [e.epoch for e in epochs]
    auroc = [e.validation_macro_auroc for e in epochs]
    data: list[dict[str, Any]] = [
        _line("Training loss", x, [e.train_loss for e in epochs], c.quiet, dash="dot"),
        _line("Validation loss", x, [e.validation_loss for e in epochs], c.second),
        {**_line("Validation macro-AUROC", x, auroc, c.first), "yaxis": "y2"},
    ]
    marks = (
        []
        if not best_epoch
        else [
            {
                "type": "line",
                "x0": best_epoch,
                "x1": best_epoch,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": text, "width": 1, "dash": "dash"},
            }
        ]
    )
    notes = (
        []
        if not best_epoch
        else [
            {
                "x": best_epoch,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "text": f"best: epoch {best_epoch}",
                "font": {"size": 11, "color": text},
            }
        ]
    )
    axis = {"gridcolor": line, "zeroline": False, "linecolor": line, "rangemode": "tozero"}
    return {
        "data": data,
        "layout": {
            "height": 310,
            "margin": {"l": 52, "r": 56, "t": 24, "b": 76},
            "shapes": marks,
            "annotations": notes,
            "paper_bgcolor": ground,
            "plot_bgcolor": ground,
            "hovermode": "x unified",
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": text},
            "legend": {"orientation": "h", "y": -0.28},
            "xaxis": {
                **axis,
                "title": {"text": "Epoch"},
                "dtick": max(1, len(x) // 10),
                "range": [0.5, max(len(x), 5) + 0.5],
            },
            "yaxis": {**axis, "title": {"text": "Loss"}},
            "yaxis2": {
                "overlaying": "y",
                "side": "right",
                "range": [0.4, 1.0],
                "showgrid": False,
                "title": {"text": "AUROC"},
                "zeroline": False,
            },
        },
    }


def _line(
    name: str, x: list[int], y: Sequence[float | None], colour: str, dash: str = "solid"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": list(y),
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"size": 5},
    }
