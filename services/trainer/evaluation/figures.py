"""The figures of a report as SVG: what stands in the card's tables, to be seen at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib as untyped
import numpy as np
from matplotlib.figure import Figure

from exchangeai.metrics import TestReport

mpl: Any = untyped
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "exchangeai",  # equal reports give equal files
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.axisbelow": True,
}
_COLOUR = "#1b6ca8"
_ROW_INCHES = 0.19
MOST_CELLS = 20
"""Classes up to which the cells of a confusion matrix can be read."""


def figures(test: TestReport) -> dict[str, bytes]:
    """SVG files by name (`reliability`, `classes`, `subgroups`, `confusion`): those that the report has."""
    drawn: dict[str, bytes] = {}
    if test.reliability:
        drawn["reliability"] = _svg(4.0, 3.8, lambda axes: _reliability(axes, test))
    if test.classes:
        drawn["classes"] = _svg(6.0, 1.0 + _ROW_INCHES * len(test.classes), lambda axes: _classes(axes, test))
    if test.subgroups:
        height = 1.0 + _ROW_INCHES * len(test.subgroups)
        drawn["subgroups"] = _svg(6.0, height, lambda axes: _subgroups(axes, test))
    if test.confusion and len(test.classes) <= MOST_CELLS:
        side = 2.0 + 0.45 * len(test.classes)
        drawn["confusion"] = _svg(side, side, lambda axes: _confusion(axes, test))
    return drawn


def _svg(width: float, height: float, draw: Callable[[Any], None]) -> bytes:
    with mpl.rc_context(_STYLE):
        figure: Any = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _reliability(axes: Any, test: TestReport) -> None:
    axes.plot([0, 1], [0, 1], color="black", lw=0.6, ls=":")
    said = [x.probability for x in test.reliability]
    axes.plot(said, [x.frequency for x in test.reliability], "o-", color=_COLOUR, ms=4, lw=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="probability", ylabel="share that holds")


def _classes(axes: Any, test: TestReport) -> None:
    ordered = sorted(test.classes, key=lambda x: -1.0 if x.auroc.value is None else x.auroc.value)
    _whiskers(axes, [(f"{x.name} ({x.positives})", x.auroc) for x in ordered])
    if test.macro_auroc.value is not None:
        axes.axvline(test.macro_auroc.value, color="black", lw=0.6, ls=":")
    axes.set(xlabel="AUROC, 95 % interval; in brackets: positives; dotted: the mean")


def _subgroups(axes: Any, test: TestReport) -> None:
    _whiskers(axes, [(f"{x.kind}: {x.name} ({x.recordings})", x.score) for x in reversed(test.subgroups)])
    overall = test.error if test.targets else test.macro_auroc
    if overall.value is not None:
        axes.axvline(overall.value, color="black", lw=0.6, ls=":")
    what = "error over spread" if test.targets else "macro-AUROC"
    axes.set(xlabel=f"{what}, 95 % interval; in brackets: recordings; dotted: all")


def _whiskers(axes: Any, rows: list[tuple[str, Any]]) -> None:
    for i, (_, x) in enumerate(rows):
        if x.value is not None:
            axes.plot(x.value, i, "o", color=_COLOUR, ms=3.5)
        if x.low is not None:
            axes.plot([x.low, x.high], [i, i], color=_COLOUR, lw=1)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)


def _confusion(axes: Any, test: TestReport) -> None:
    names = [x.name for x in test.classes]
    counts = np.array(test.confusion).reshape(len(names), len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), n in np.ndenumerate(counts):
        axes.text(j, i, n, ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="true")
