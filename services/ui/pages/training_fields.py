"""What the pages Fine-tune and Compare ask alike: architectures, presets, estimates, numbers in a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import html

from services.ui.views import ArchitectureView, EstimateView, PresetView

USUAL = "balanced"


def architecture_words(a: ArchitectureView) -> str:
    """What an architecture is and costs, in a line."""
    return f"{a.summary} {a.parameters / 1e6:.2f} M weights, {a.gflops:.2f} GFLOPs an ECG."


def preset_cards(presets: Sequence[PresetView]) -> list[Any]:
    """A radio button for each preset."""
    return [
        html.Div(
            dmc.Radio(value=p.name, label=p.name.capitalize(), description=p.summary), className="choice"
        )
        for p in presets
    ]


def estimate_words(e: EstimateView, runs: int = 1) -> Any:
    """Time as a range, memory, and what they were measured from."""
    times = f"{runs} runs: " if runs > 1 else ""
    memory = e.peak_memory_bytes / 1e9
    return html.Div(
        [
            html.Strong(f"{times}{span(runs * e.low_s, runs * e.high_s)}"),
            f", {memory:.1f} GB of memory at most",
            html.Span(f"Measured: {e.measured_from}.", className="quiet block"),
        ]
    )


def span(low_s: float, high_s: float) -> str:
    """A range of time in one unit, for example `3 to 5 min`."""
    for unit, name in ((1.0, "s"), (60.0, "min"), (3600.0, "h")):
        if high_s < 120 * unit or name == "h":
            low, high = (max(1, round(x / unit)) for x in (low_s, high_s))
            return f"about {low} {name}" if low == high else f"{low} to {high} {name}"
    raise AssertionError


def count_field(key: str, label: str, step: float = 1, **more: Any) -> Any:
    """A number; empty means the preset's, which its placeholder shows."""
    return dmc.NumberInput(id=key, label=label, value="", step=step, min=0, **more)


def waiting(what: str) -> Any:
    """In place of what the trainer has not told yet."""
    return html.P(f"Waiting for the {what} …", className="quiet waiting")
