"""The page Fine-tune: choose a data set and an architecture, train, watch, compare."""

from __future__ import annotations

from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError
from exchangeai.facts import RunState
from services.ui.figures import theme
from services.ui.figures.curves import learning_curve
from services.ui.gateway import Gateway
from services.ui.pages import finetune_data as data
from services.ui.pages import finetune_parts as parts
from services.ui.pages import finetune_start as start
from services.ui.pages import run_report
from services.ui.pages.notices import empty, loading_failed, problem

LOG_BYTES = 8192
"""As much of the end of a log as the page shows."""


def layout() -> Any:
    """The page without content; callbacks fill it."""
    return html.Div(
        id="page-finetune",
        className="tune",
        children=[
            # Each ticks until its panel was filled, so that no lost answer leaves a panel empty.
            dcc.Interval(id="run-tick", interval=1000),
            dcc.Interval(id="dataset-tick", interval=1000),
            dcc.Interval(id="offer-tick", interval=2000),
            dcc.Interval(id="base-tick", interval=2000),
            html.Div([data.panel(), start.panel()], className="stack"),
            html.Div(
                className="stack",
                children=[
                    html.Div(
                        className="panel",
                        children=[
                            html.Div(id="run-head"),
                            html.Div(
                                className="buttons",
                                children=[
                                    dmc.Button(
                                        "Cancel", id="cancel", variant="default", style={"display": "none"}
                                    ),
                                    dmc.Button("Resume", id="resume", style={"display": "none"}),
                                ],
                            ),
                            html.Div(id="run-outcome"),
                            html.Div(id="curve"),
                            html.Div(id="run-results"),
                            html.Details(
                                [
                                    html.Summary("Log"),
                                    html.Pre(id="run-log", className="log", tabIndex=0),
                                ],
                                id="run-log-fold",
                                style={"display": "none"},
                            ),
                            dcc.Download(id="card-file"),
                            html.Div(id="card-outcome"),
                            dcc.Store(id="run-shown", data=""),
                        ],
                    ),
                    html.Div([html.H2("Runs"), html.Div(id="runs", className="scroll")], className="panel"),
                ],
            ),
        ],
    )


def run_id_of(pathname: str | None) -> str:
    """The run in the address, or an empty string."""
    return (pathname or "").removeprefix("/fine-tune").strip("/")[:64]


def register(app: Any, gateway: Gateway) -> None:
    """Connect the page to the services."""
    data.register(app, gateway)
    start.register(app, gateway)
    _register_run(app, gateway)


def _register_run(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("run-outcome", "children"),
        Input("cancel", "n_clicks"),
        Input("resume", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def steer(_cancel: Any, _resume: Any, pathname: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        act = (
            gateway.trainer.cancel_run
            if cast("Any", ctx).triggered_id == "cancel"
            else gateway.trainer.resume_run
        )
        try:
            act(run_id_of(pathname))
        except ExchangeaiError as e:
            return problem(e)
        return None

    @app.callback(
        Output("run-head", "children"),
        Output("curve", "children"),
        Output("run-results", "children"),
        Output("runs", "children"),
        Output("cancel", "style"),
        Output("resume", "style"),
        Output("run-tick", "disabled"),
        Output("run-log", "children"),
        Output("run-log-fold", "style"),
        Output("run-shown", "data"),
        Input("url", "pathname"),
        Input("run-tick", "n_intervals"),
        Input("run-outcome", "children"),
        Input("dark", "data"),
        State("run-shown", "data"),
    )
    def watch(pathname: Any, _tick: Any, _steered: Any, dark: Any, shown: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        hidden: dict[str, str] = {"display": "none"}
        wanted = run_id_of(pathname)
        try:
            listed = gateway.trainer.runs()
            run = next((r for r in listed if r.run_id == wanted), None)
            if wanted and run is None:
                run = gateway.trainer.run(wanted)
        except ExchangeaiError as e:
            return loading_failed(e), None, None, no_update, hidden, hidden, False, None, hidden, ""
        live = any(not r.state.ended for r in listed)
        table = parts.runs(listed)
        if run is None:
            told = empty("No run chosen", "Start one, or choose one from the table.", heading=True)
            return told, None, None, table, hidden, hidden, not live, None, hidden, ""
        # A report stays as it is: drawn anew each second it could neither be read nor clicked.
        now = f"{run.run_id} {run.state} {bool(dark)}"
        same = now == shown
        curve: Any = None
        if run.epochs:
            figure = learning_curve(run.epochs, run.best_epoch, dark=bool(dark))
            curve = [
                dcc.Graph(id="learning", figure=figure, config=theme.CONFIG),
                run_report.rate_search(run, dark=bool(dark)),
            ]
        resumable = run.state in (RunState.CANCELLED, RunState.FAILED)
        return (
            parts.run_head(run),
            curve,
            no_update if same else run_report.results(run, dark=bool(dark)),
            table,
            {} if run.state is RunState.QUEUED or run.state.working else hidden,
            {} if resumable else hidden,
            not live,
            _log(gateway, run.run_id),
            {},
            now,
        )

    @app.callback(
        Output("card-file", "data"),
        Output("card-outcome", "children"),
        Input("card", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def download_card(clicks: Any, pathname: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not clicks:  # the button has just been inserted, which also calls
            return no_update, no_update
        try:
            run = gateway.trainer.run(run_id_of(pathname))
            card = gateway.model_card(run.model_name, run.model_version)
        except ExchangeaiError as e:
            return no_update, problem(e)
        name = f"{run.model_name}-{run.model_version}.md"
        return {"filename": name, "content": card, "type": "text/markdown"}, None


def _log(gateway: Gateway, run_id: str) -> str:
    try:
        return gateway.trainer.log(run_id, LOG_BYTES) or "Nothing has been written yet."
    except ExchangeaiError as e:
        return f"The log is not there: {e}"
