"""The page Fine-tune: make or choose a data set, choose an architecture, train, watch, compare."""

from __future__ import annotations

import base64
import secrets
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import DatasetState, RunState, TrainingOptions
from services.ui.figures.curves import learning_curve
from services.ui.gateway import Gateway
from services.ui.label_table import read_head
from services.ui.pages import finetune_parts as parts
from services.ui.pages.notices import empty, loading_failed, problem
from services.ui.views import DatasetOrder

_COLUMNS = (
    ("recording", "Recording (file name or id)"),
    ("label", "Label"),
    ("patient", "Patient (optional)"),
    ("part", "Part (optional)"),
)
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
            html.Div([_dataset_panel(), _start_panel()], className="stack"),
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


def _dataset_panel() -> Any:
    fields = [
        dmc.Select(id=f"column-{key}", label=label, data=[], clearable=True, mt="xs")
        for key, label in _COLUMNS
    ]
    return html.Div(
        className="panel",
        children=[
            html.H2("1  Data set"),
            dmc.Select(
                id="dataset",
                label="Use a data set",
                placeholder="None yet: make one below",
                data=[],
                allowDeselect=False,
            ),
            html.Div(id="dataset-state"),
            html.Details(
                id="new-dataset",
                children=[
                    html.Summary("New data set from a label table"),
                    dcc.Upload(
                        id="table",
                        className="drop",
                        max_size=64 << 20,
                        children=html.Div(
                            [
                                html.Strong("Drop a CSV table or choose it"),
                                html.Span("one row a recording, with a header line", className="quiet"),
                            ]
                        ),
                    ),
                    html.Div(id="table-preview"),
                    dmc.TextInput(id="dataset-name", label="Name", value="", mt="xs"),
                    html.Div(fields, className="pairs"),
                    dmc.Select(
                        id="task",
                        label="Labels are",
                        value="multi",
                        allowDeselect=False,
                        mt="xs",
                        data=[
                            {"value": "multi", "label": "any number for each recording"},
                            {"value": "single", "label": "exactly one for each recording"},
                        ],
                    ),
                    dmc.Button("Build data set", id="build", mt="sm", fullWidth=True),
                    html.P(
                        "Without a part column patients are drawn, seeded: "
                        "70\u00a0% training, 15\u00a0% validation, 15\u00a0% test.",
                        className="quiet",
                    ),
                ],
            ),
            html.Div(id="build-outcome"),
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
    _register_dataset(app, gateway)
    _register_run(app, gateway)


def _register_dataset(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("table-preview", "children"),
        Output("dataset-name", "value"),
        *[Output(f"column-{key}", part) for key, _ in _COLUMNS for part in ("data", "value")],
        Input("table", "contents"),
        State("table", "filename"),
        prevent_initial_call=True,
    )
    def look(contents: Any, name: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            head = read_head(_decoded(contents))
        except ExchangeaiError as e:
            return (problem(e), no_update, *[no_update] * (2 * len(_COLUMNS)))
        columns = list(dict.fromkeys(c for c in head.columns if c))
        guesses = [x for key, _ in _COLUMNS for x in (columns, head.guess(key))]
        return (parts.preview(head), str(name or "labels").rsplit(".", 1)[0][:80], *guesses)

    @app.callback(
        Output("build-outcome", "children"),
        Output("dataset", "value"),
        Output("new-dataset", "open"),
        Input("build", "n_clicks"),
        State("table", "contents"),
        State("dataset-name", "value"),
        State("task", "value"),
        *[State(f"column-{key}", "value") for key, _ in _COLUMNS],
        running=[(Output("build", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def build(
        _n: Any, contents: Any, name: Any, task: Any, recording: Any, label: Any, patient: Any, part: Any
    ) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            if not contents or not recording or not label or not name:
                raise InvalidArgument(
                    "Choose a table, a name, the recording column and the label column first."
                )
            made = gateway.build_dataset(
                DatasetOrder(
                    name=name,
                    table=_decoded(contents),
                    recording_column=recording,
                    label_column=label,
                    patient_column=patient or "",
                    part_column=part or "",
                    single_label=task == "single",
                )
            )
        except ExchangeaiError as e:
            return problem(e), no_update, no_update
        return None, made.dataset_id, False

    @app.callback(
        Output("dataset", "data"),
        Output("dataset-state", "children"),
        Output("dataset-tick", "disabled"),
        Output("start", "disabled"),
        Input("url", "pathname"),
        Input("dataset", "value"),
        Input("dataset-tick", "n_intervals"),
    )
    def show_dataset(_path: Any, value: Any, _tick: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            listed = gateway.datasets()
        except ExchangeaiError as e:
            return no_update, loading_failed(e), False, True
        data = [{"value": d.dataset_id, "label": f"{d.name} ({d.state})"} for d in listed]
        current = next((d for d in listed if d.dataset_id == value), None)
        busy = current is not None and current.state in (DatasetState.QUEUED, DatasetState.BUILDING)
        ready = current is not None and current.state is DatasetState.READY
        return data, parts.dataset(current) if current else None, not busy, not ready


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
            {} if run.state in (RunState.QUEUED, RunState.RUNNING) else hidden,
            {} if resumable else hidden,
            not live,
        )


def _decoded(contents: Any) -> bytes:
    return base64.b64decode(str(contents).partition(",")[2])
