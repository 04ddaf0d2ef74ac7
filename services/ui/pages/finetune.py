"""The page Fine-tune: choose a data set and an architecture, train, watch, compare."""

from __future__ import annotations

import secrets
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import RunState, TrainingOptions
from services.ui.figures.curves import learning_curve
from services.ui.gateway import Gateway
from services.ui.pages import finetune_data as data
from services.ui.pages import finetune_parts as parts
from services.ui.pages.notices import empty, loading_failed, problem

_DEFAULTS = TrainingOptions()


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
            html.Div([data.panel(), _start_panel()], className="stack"),
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
                        ],
                    ),
                    html.Div([html.H2("Runs"), html.Div(id="runs", className="scroll")], className="panel"),
                ],
            ),
        ],
    )


def _start_panel() -> Any:
    def count(key: str, label: str, default: float, step: float = 1) -> Any:
        # An empty field means the default, which the service knows.
        return dmc.NumberInput(
            id=key, label=label, value="", placeholder=f"{default:g}", step=step, min=0, mt="xs"
        )

    return html.Div(
        className="panel",
        children=[
            html.H2("2  Architecture"),
            dmc.RadioGroup(id="architecture", label="Train this", children=[]),
            dmc.Select(
                id="base", label="Start from", data=[], placeholder="from scratch", clearable=True, mt="sm"
            ),
            html.H2("3  Start", style={"marginTop": "18px"}),
            dmc.TextInput(id="model-name", label="Name of the model", value="my-model"),
            html.Details(
                [
                    html.Summary("Advanced"),
                    html.P("An empty field means the default, shown in grey.", className="quiet"),
                    count("max-epochs", "Epochs at most", _DEFAULTS.max_epochs),
                    count("batch-size", "Recordings a step", _DEFAULTS.batch_size),
                    count("learning-rate", "Peak learning rate", _DEFAULTS.learning_rate, 0.001),
                    count("patience", "Stop after epochs without gain", _DEFAULTS.patience),
                    count("seed", "Seed", _DEFAULTS.seed),
                ]
            ),
            dmc.Button("Start", id="start", fullWidth=True, mt="sm"),
            html.Div(id="start-outcome"),
        ],
    )


def run_id_of(pathname: str | None) -> str:
    """The run in the address, or an empty string."""
    return (pathname or "").removeprefix("/fine-tune").strip("/")[:64]


def register(app: Any, gateway: Gateway) -> None:
    """Connect the page to the services."""
    data.register(app, gateway)
    _register_run(app, gateway)


def _register_run(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("architecture", "children"),
        Output("architecture", "value"),
        Output("offer-tick", "disabled"),
        Input("url", "pathname"),
        Input("offer-tick", "n_intervals"),
        State("architecture", "value"),
    )
    def offer(_path: Any, _tick: Any, value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            architectures = gateway.architectures()
        except ExchangeaiError as e:
            return loading_failed(e), value, False
        cards = [
            html.Div(
                dmc.Radio(
                    value=a.name, label=a.name, description=f"{a.summary} {a.parameters / 1e6:.2f} M weights."
                ),
                className="choice",
            )
            for a in architectures
        ]
        return cards, value or next((a.name for a in architectures), None), True

    @app.callback(
        Output("base", "data"),
        Output("base", "value"),
        Output("base-tick", "disabled"),
        Output("base", "description"),
        Input("url", "pathname"),
        Input("architecture", "value"),
        Input("base-tick", "n_intervals"),
        State("base", "value"),
    )
    def offer_bases(_path: Any, architecture: Any, _tick: Any, value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            models = [m.key for m in gateway.models() if m.approved and m.architecture == architecture]
        except ExchangeaiError:
            return [], value, False, "The list of models is not there yet."
        told = f"{len(models) or 'No'} approved model{'' if len(models) == 1 else 's'} of this architecture"
        return models, value if value in models else None, True, told

    @app.callback(
        Output("start-outcome", "children"),
        Output("url", "pathname", allow_duplicate=True),
        Input("start", "n_clicks"),
        State("dataset", "value"),
        State("architecture", "value"),
        State("base", "value"),
        State("model-name", "value"),
        *[State(k, "value") for k in ("max-epochs", "batch-size", "learning-rate", "patience", "seed")],
        running=[(Output("start", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def start(clicks: Any, dataset: Any, architecture: Any, base: Any, name: Any, *chosen: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not clicks:  # the page has just been inserted, which also calls
            return no_update, no_update
        epochs, batch, rate, patience, seed = chosen
        try:
            if not dataset or not architecture or not name:
                raise InvalidArgument("Choose a data set, an architecture and a name first.")
            run = gateway.start_run(
                dataset_id=dataset,
                architecture=architecture,
                model_name=name,
                base_model=base or "",
                # One key a click: the call may be repeated on its way without a second run.
                request_key=secrets.token_hex(16),
                options=TrainingOptions(
                    max_epochs=int(epochs or 0),
                    batch_size=int(batch or 0),
                    learning_rate=float(rate or 0),
                    patience=int(patience or 0),
                    seed=int(seed or 0),
                ),
            )
        except ExchangeaiError as e:
            return problem(e), no_update
        return None, f"/fine-tune/{run.run_id}"

    @app.callback(
        Output("run-outcome", "children"),
        Input("cancel", "n_clicks"),
        Input("resume", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def steer(_cancel: Any, _resume: Any, pathname: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        act = gateway.cancel_run if cast("Any", ctx).triggered_id == "cancel" else gateway.resume_run
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
        Input("url", "pathname"),
        Input("run-tick", "n_intervals"),
        Input("run-outcome", "children"),
        Input("dark", "data"),
    )
    def watch(pathname: Any, _tick: Any, _steered: Any, dark: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        hidden: dict[str, str] = {"display": "none"}
        wanted = run_id_of(pathname)
        try:
            listed = gateway.runs()
            run = next((r for r in listed if r.run_id == wanted), None)
            if wanted and run is None:
                run = gateway.run(wanted)
        except ExchangeaiError as e:
            return loading_failed(e), None, None, no_update, hidden, hidden, False
        live = any(not r.state.ended for r in listed)
        table = parts.runs(listed)
        if run is None:
            told = empty("No run chosen", "Start one, or choose one from the table.")
            return told, None, None, table, hidden, hidden, not live
        curve = None
        if run.epochs:
            figure = learning_curve(run.epochs, run.best_epoch, dark=bool(dark))
            config: Any = {"displayModeBar": False, "showSendToCloud": False}
            curve = dcc.Graph(id="learning", figure=figure, config=config)
        resumable = run.state in (RunState.CANCELLED, RunState.FAILED)
        return (
            parts.run_head(run),
            curve,
            parts.results(run.test) if run.test else None,
            table,
            {} if run.state is RunState.QUEUED or run.state.working else hidden,
            {} if resumable else hidden,
            not live,
        )
