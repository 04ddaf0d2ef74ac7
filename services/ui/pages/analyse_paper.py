"""The tracing of the page Analyse: which sheet, how laid out, through which display filter."""

from __future__ import annotations

import math
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, ctx, dcc, html

from exchangeai.errors import ExchangeaiError, Unavailable
from services.ui.figures import display_filter
from services.ui.figures.ecg_paper import GRAPH_CONFIG, draw, footer
from services.ui.figures.geometry import PAGE_S, lay_out
from services.ui.gateway import Gateway
from services.ui.pages import analyse_parts as parts
from services.ui.pages.notices import empty, loading_failed


def panel() -> Any:
    """The place of the tracing and what it is looked at with."""
    return html.Section(
        className="tracing",
        **named("Tracing"),
        children=[
            html.Div(id="record-header"),
            html.Div(
                className="controls",
                children=[
                    # Ticks until the paper was drawn, so that no lost answer leaves it empty.
                    dcc.Interval(id="paper-tick", interval=2000),
                    dmc.SegmentedControl(
                        id="paper-layout",
                        value="3x4+1",
                        data=[
                            {"value": "3x4+1", "label": "3×4+1"},
                            {"value": "12x1", "label": "12×1"},
                        ],
                    ),
                    dmc.Select(
                        id="paper-filter",
                        w=140,
                        value=display_filter.DEFAULT,
                        allowDeselect=False,
                        data=[{"value": v, "label": label} for v, label in display_filter.choices().items()],
                        **named("Display filter"),
                    ),
                    dmc.Select(
                        id="paper-start",
                        w=150,
                        value="0",
                        data=["0"],
                        style={"display": "none"},
                        **named("Part of the recording"),
                    ),
                ],
            ),
            dcc.Loading(html.Div(id="paper", className="paper"), type="dot", delay_show=300),
            html.P(id="paper-footer", className="paper-footer"),
        ],
    )


def named(label: str) -> dict[str, Any]:
    """The name of a place or control for screen readers."""
    return {"aria-label": label}


def chosen_id(pathname: str | None) -> str:
    """The recording in the address, or an empty string."""
    tail = (pathname or "").removeprefix("/analyse").strip("/")
    return tail if len(tail) == 64 else ""


def pages(duration_s: float) -> dict[int, str]:
    """First second and label of each sheet of ten seconds; less than half a second left makes none."""
    starts = range(0, max(math.ceil(duration_s - 0.5), 1), int(PAGE_S))
    return {s: f"{s}–{min(s + PAGE_S, max(duration_s, s)):g} s" for s in starts}


def register(app: Any, gateway: Gateway) -> None:
    """Connect the tracing to the stored signal."""

    @app.callback(
        Output("paper", "children"),
        Output("paper-footer", "children"),
        Output("paper-start", "data"),
        Output("paper-start", "value"),
        Output("paper-start", "style"),
        Output("paper-tick", "disabled"),
        Input("url", "pathname"),
        Input("paper-layout", "value"),
        Input("paper-filter", "value"),
        Input("paper-start", "value"),
        Input("dark", "data"),
        Input("paper-tick", "n_intervals"),
    )
    def show_paper(  # pyright: ignore[reportUnusedFunction]
        pathname: Any, layout_name: Any, band: Any, start: Any, dark: Any, _tick: Any
    ) -> Any:
        chosen = chosen_id(pathname)
        # Each recording is opened at its beginning.
        begin = 0 if cast("Any", ctx).triggered_id == "url" else int(start or 0)
        blank = "", ["0"], "0", {"display": "none"}
        if not chosen:
            told = empty("Nothing chosen", "Drop an ECG or choose one from the worklist.")
            return told, *blank, True
        try:
            recording = gateway.recording(chosen)
            if not recording.has_signal:
                return parts.refused(recording), *blank, True
            leads = parts.paper_leads(gateway.signal(chosen))
        except ExchangeaiError as e:
            return loading_failed(e), *blank, not isinstance(e, Unavailable)
        choices = pages(recording.duration_s)
        if begin not in choices:
            begin = 0
        shown = display_filter.filter_leads(leads, band or display_filter.DEFAULT, begin)
        figure = draw(lay_out(shown.leads, layout_name or "3x4+1", begin), dark=bool(dark))
        size = figure["layout"]
        graph = dcc.Graph(
            id="ecg",
            figure=figure,
            config=GRAPH_CONFIG,  # pyright: ignore[reportArgumentType]
            style={"width": f"{size['width']}px", "height": f"{size['height']}px"},
        )
        words = f"Electrocardiogram, leads {', '.join(leads)}"
        return (
            html.Figure([graph, html.Figcaption(words, className="hidden-text")]),
            footer(recording.rates_hz, shown.words, start_s=begin, duration_s=recording.duration_s),
            [{"value": str(s), "label": label} for s, label in choices.items()],
            str(begin),
            {} if len(choices) > 1 else {"display": "none"},
            True,
        )
