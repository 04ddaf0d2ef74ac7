"""The page Analyse: drop files, step through the worklist, see the tracing, run a model."""

from __future__ import annotations

import base64
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, NotReady, Unavailable
from exchangeai.leads import STANDARD_12
from services.ui.gateway import Gateway
from services.ui.pages import analyse_paper as paper
from services.ui.pages import analyse_parts as parts
from services.ui.pages.notices import POLITE, loading_failed, problem
from services.ui.views import Stated, UploadView

MAX_FILE_BYTES = 50 << 20


def layout() -> Any:
    """The page without content; callbacks fill it."""
    return html.Div(
        id="page-analyse",
        className="analyse",
        children=[
            # Each ticks until its panel was filled, so that no lost answer leaves a panel empty.
            dcc.Interval(id="worklist-tick", interval=1000),
            dcc.Interval(id="models-tick", interval=2000),
            html.Section(
                className="panel intake",
                **paper.named("Recordings"),
                children=[
                    html.Div(
                        className="drop-side",
                        children=[
                            dcc.Upload(
                                id="drop",
                                multiple=True,
                                max_size=MAX_FILE_BYTES,
                                className="drop",
                                className_active="drop active",
                                children=html.Div(
                                    [
                                        html.Strong("Drop ECG files here or choose them"),
                                        html.Span(
                                            "Any ECG format (.hea with .dat), zip, tar · 50 MB each",
                                            className="quiet",
                                        ),
                                    ]
                                ),
                            ),
                            dcc.Loading(html.Div(id="drop-outcome", **POLITE), type="dot"),
                            _stating_form(),
                        ],
                    ),
                    html.Div(
                        className="list-side",
                        children=[
                            html.Div(
                                [html.Span("Worklist"), html.Span("← → steps", className="quiet")],
                                className="list-head",
                            ),
                            html.Div(id="worklist", className="worklist"),
                        ],
                    ),
                ],
            ),
            paper.panel(),
            html.Aside(
                className="side",
                children=[
                    html.Div([html.H2("Measurements"), html.Div(id="measured")], className="panel"),
                    html.Div(
                        className="panel",
                        children=[
                            html.H2("Model"),
                            dmc.Select(
                                id="model",
                                label="Run this model",
                                placeholder="No model yet",
                                data=[],
                                # Choosing the chosen one again would choose none.
                                allowDeselect=False,
                            ),
                            dmc.Button("Run", id="predict", disabled=True, fullWidth=True, mt="sm"),
                            dcc.Loading(html.Div(id="findings", **POLITE), type="dot"),
                        ],
                    ),
                ],
            ),
        ],
    )


def _stating_form() -> Any:
    return html.Div(
        id="stating",
        style={"display": "none"},
        className="stating",
        children=[
            html.P("These files do not say how they were recorded. State it, and they are read again:"),
            dmc.NumberInput(id="stated-rate", label="Sampling rate (Hz)", min=1, max=100000, value=None),
            dmc.Select(
                id="stated-unit", label="Unit of the samples", data=["uV", "mV", "V"], allowDeselect=False
            ),
            dmc.TextInput(id="stated-leads", label="Leads in column order", value=" ".join(STANDARD_12)),
            dmc.Button("Read again", id="state-it", mt="sm"),
        ],
    )


def decode(contents: list[str], names: list[str]) -> dict[str, bytes]:
    """Files as the browser sent them."""
    return {n: base64.b64decode(c.partition(",")[2]) for c, n in zip(contents, names, strict=True)}


def register(app: Any, gateway: Gateway) -> None:
    """Connect the page to the services."""
    paper.register(app, gateway)

    @app.callback(
        Output("drop-outcome", "children"),
        Output("stating", "style"),
        Output("names", "data"),
        Output("url", "pathname"),
        Input("drop", "contents"),
        Input("state-it", "n_clicks"),
        State("drop", "filename"),
        State("stated-rate", "value"),
        State("stated-unit", "value"),
        State("stated-leads", "value"),
        State("names", "data"),
        prevent_initial_call=True,
    )
    def upload(contents: Any, _clicks: Any, files: Any, rate: Any, unit: Any, leads: Any, names: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not contents:
            return no_update, no_update, no_update, no_update
        stated = Stated(
            sampling_rate_hz=float(rate or 0),
            unit=unit or "",
            # The lead names are meant for files that need them, which the rate tells.
            leads=tuple(str(leads or "").replace(",", " ").split()) if rate else (),
        )
        try:
            results = gateway.upload(decode(contents, files), stated)
        except ExchangeaiError as e:
            return problem(e), no_update, no_update, no_update
        named = {r.recording.recording_id: _name(tuple(r.file_names)) for r in results if r.file_names}
        asked = any(r.recording.reason == "MissingMetadata" for r in results)
        first = next((r.recording.recording_id for r in results if r.recording.has_signal), None)
        target = f"/analyse/{first or results[0].recording.recording_id}" if results else no_update
        return (
            _outcome(results),
            {"display": "block" if asked else "none"},
            {**(names or {}), **named},
            target,
        )

    @app.callback(
        Output("worklist", "children"),
        Output("worklist-tick", "disabled"),
        Output("record-header", "children"),
        Output("measured", "children"),
        Input("url", "pathname"),
        Input("names", "data"),
        Input("worklist-tick", "n_intervals"),
    )
    def show_lists(pathname: Any, names: Any, _tick: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        chosen = paper.chosen_id(pathname)
        names = cast("dict[str, str]", names or {})
        try:
            listed, total = gateway.recordings()
            current = next((r for r in listed if r.recording_id == chosen), None)
            if chosen and current is None:
                current = gateway.recording(chosen)
        except ExchangeaiError as e:
            return [loading_failed(e)], False, no_update, no_update
        place = next((i for i, r in enumerate(listed, 1) if r.recording_id == chosen), None)
        pending = any(r.status == "pending" for r in listed)
        rows = parts.worklist(listed, chosen, names)
        if current is None:
            return rows, not pending, html.H1("ECG tracing"), html.P("—", className="quiet")
        head = parts.header(current, names.get(chosen, ""), f"{place} of {total}" if place else "")
        told, again = _measured(gateway, chosen, current.status)
        return rows, not (pending or again), head, told

    @app.callback(
        Output("model", "data"),
        Output("model", "value"),
        Output("predict", "disabled"),
        Output("models-tick", "disabled"),
        Input("url", "pathname"),
        Input("models-tick", "n_intervals"),
        State("model", "value"),
    )
    def offer_models(pathname: Any, _tick: Any, value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            models = [m for m in gateway.models() if m.approved]
        except ExchangeaiError:
            return [], value, True, False
        keys = [m.key for m in models]
        data = [{"value": m.key, "label": f"{m.key} ({m.architecture})"} for m in models]
        kept = value if value in keys else (keys[0] if keys else None)
        return data, kept, not (keys and paper.chosen_id(pathname)), True

    @app.callback(
        Output("findings", "children"),
        Input("predict", "n_clicks"),
        Input("url", "pathname"),
        State("model", "value"),
        running=[(Output("predict", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def predict(_clicks: Any, pathname: Any, model: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if cast("Any", ctx).triggered_id != "predict" or not model:
            # Findings of the recording seen before must not stand beside this one.
            return None
        name, _, version = str(model).rpartition(":")
        try:
            return parts.findings(gateway.predict(paper.chosen_id(pathname), name, int(version)))
        except ExchangeaiError as e:
            return problem(e)


def _name(files: tuple[str, ...]) -> str:
    """One name for the files of a record."""
    return files[0].rsplit(".", 1)[0] if len(files) != 1 else files[0]


def _outcome(results: list[UploadView]) -> Any:
    read = sum(r.recording.has_signal for r in results)
    doubles = sum(r.duplicate for r in results)
    coats = sum(bool(r.recording.same_signal_as) and not r.duplicate for r in results)
    words = f"{read} of {len(results)} read"
    words += f", {doubles} known already" if doubles else ""
    words += f", {coats} the same ECG as an earlier file" if coats else ""
    bad = [r for r in results if not r.recording.has_signal]
    lines = [
        html.Li([html.Strong(", ".join(r.file_names)), f" — {r.recording.reason}: {r.recording.message}"])
        for r in bad
    ]
    return html.Div([html.P(words), html.Ul(lines, tabIndex=0) if lines else None], className="outcome")


def _measured(gateway: Gateway, recording_id: str, status: str) -> tuple[Any, bool]:
    """(what to show, whether to ask again)."""
    if status == "unreadable":
        return html.P("— no signal", className="quiet"), False
    if status == "pending":
        return html.P("Being measured …", className="quiet"), True
    try:
        return parts.measured(gateway.measured(recording_id)), False
    except NotReady:
        return html.P("Being measured …", className="quiet"), True
    except ExchangeaiError as e:
        return loading_failed(e), isinstance(e, Unavailable)
