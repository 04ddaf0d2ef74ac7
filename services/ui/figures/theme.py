"""What all charts look like, in light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONFIG: Any = {"displayModeBar": False, "showSendToCloud": False, "responsive": True}
"""Of every `dcc.Graph`: no mode bar, and nothing that leaves this site."""

LOADING = "#1971c2"
"""Of what says that an answer is on its way."""


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Colours of a chart."""

    text: str
    line: str
    ground: str
    first: str
    second: str
    quiet: str
    series: tuple[str, ...]


_LIGHT = Colours(
    text="#343a40",
    line="#e9ecef",
    ground="#ffffff",
    first="#1864ab",
    second="#d9480f",
    quiet="#868e96",
    series=("#1864ab", "#d9480f", "#2b8a3e", "#862e9c", "#a61e4d", "#0b7285", "#5c940d", "#495057"),
)
_DARK = Colours(
    text="#c9d1d9",
    line="#353c43",
    ground="#1f2428",
    first="#74c0fc",
    second="#ffa94d",
    quiet="#909aa3",
    series=("#74c0fc", "#ffa94d", "#69db7c", "#da77f2", "#faa2c1", "#66d9e8", "#c0eb75", "#ced4da"),
)


def colours(*, dark: bool) -> Colours:
    """Those of the scheme."""
    return _DARK if dark else _LIGHT


def layout(dark: bool, **more: Any) -> dict[str, Any]:
    """A chart's layout; `more` goes over it."""
    c = colours(dark=dark)
    return {
        "paper_bgcolor": c.ground,
        "plot_bgcolor": c.ground,
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": c.text},
        "hovermode": "closest",
        **more,
    }


def axis(dark: bool, title: str, **more: Any) -> dict[str, Any]:
    """An axis with a quiet grid."""
    c = colours(dark=dark)
    return {
        "gridcolor": c.line,
        "zeroline": False,
        "linecolor": c.line,
        "title": {"text": title},
        "automargin": True,
        **more,
    }
