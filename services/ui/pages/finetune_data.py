"""The data set of the page Fine-tune: chosen, or made from a label table; its report, to read and to keep."""

from __future__ import annotations

import base64
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import DatasetState, Task
from exchangeai.join_report import ReportKind
from services.ui.gateway import Gateway
from services.ui.label_table import part_values, read_head
from services.ui.pages import finetune_dialect as dialects
from services.ui.pages import finetune_parts as parts
from services.ui.pages.notices import loading_failed, problem
from services.ui.views import DatasetOrder

_COLUMNS = (
    ("recording", "Recording (file name or id)"),
    ("label", "Label"),
    ("patient", "Patient (optional)"),
    ("part", "Part (optional)"),
    ("time", "Time (optional)"),
)
_TASKS = {"multi": Task.MULTI_LABEL, "single": Task.SINGLE_LABEL, "numbers": Task.REGRESSION}


def panel() -> Any:
    """Choose a data set, or make one."""
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
                                html.Strong("Drop a table (CSV, TSV, XLSX) or choose it"),
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
                            {"value": "numbers", "label": "a number for each recording"},
                        ],
                    ),
                    html.Div(
                        className="pairs",
                        children=[
                            dmc.TextInput(
                                id="part-values",
                                label="What the part column means",
                                placeholder="1-8 = train, 9 = validation, 10 = test",
                                value="",
                                mt="xs",
                            ),
                            dmc.NumberInput(
                                id="fewest-patients",
                                label="Leave out classes with fewer patients than",
                                value="",
                                placeholder="0",
                                min=0,
                                mt="xs",
                            ),
                        ],
                    ),
                    dialects.panel(),
                    dmc.Button("Build data set", id="build", mt="sm", fullWidth=True),
                    html.P(
                        "Without a part column patients are drawn, seeded: "
                        "70\u00a0% training, 15\u00a0% validation, 15\u00a0% test; with a time, the earliest "
                        "patients train and the latest test.",
                        className="quiet",
                    ),
                ],
            ),
            html.Div(id="build-outcome"),
            html.Div(id="report-outcome"),
            dcc.Download(id="report-file"),
        ],
    )


def register(app: Any, gateway: Gateway) -> None:
    """Connect the panel to preprocess."""

    @app.callback(
        Output("table-preview", "children"),
        Output("dataset-name", "value"),
        *[Output(f"column-{key}", part) for key, _ in _COLUMNS for part in ("data", "value")],
        Output("label-columns", "data"),
        Output("label-columns", "value"),
        Input("table", "contents"),
        *[Input(key, "value") for key in dialects.READING],
        State("table", "filename"),
        State("dataset-name", "value"),
        *[State(f"column-{key}", "value") for key, _ in _COLUMNS],
        State("label-columns", "value"),
        prevent_initial_call=True,
    )
    def look(  # pyright: ignore[reportUnusedFunction]
        contents: Any, separator: Any, encoding: Any, sheet: Any, file: Any, name: Any, *chosen: Any
    ) -> Any:
        unchanged = [no_update] * (2 * len(_COLUMNS) + 3)
        if not contents:
            return None, *unchanged
        try:
            head = read_head(_decoded(contents), **dialects.reading(separator, encoding, sheet))
        except ExchangeaiError as e:
            return problem(e), *unchanged
        columns = list(dict.fromkeys(c for c in head.columns if c))
        new = cast("Any", ctx).triggered_id == "table"
        *singles, classes = [None] * (len(_COLUMNS) + 1) if new else chosen
        # What was chosen stays where the table, read in another way, has it too.
        fields = [
            x
            for (key, _), value in zip(_COLUMNS, singles, strict=True)
            for x in (columns, value if value in columns else head.guess(key))
        ]
        title = str(file or "labels").rsplit(".", 1)[0][:80] if new or not name else name
        return parts.preview(head), title, *fields, columns, [x for x in classes or () if x in columns]

    @app.callback(
        Output("build-outcome", "children"),
        Output("dataset", "value"),
        Output("new-dataset", "open"),
        Output("part-values", "error"),
        Output("synonyms", "error"),
        Output("dialect", "open"),
        Input("build", "n_clicks"),
        State("table", "contents"),
        State("dataset-name", "value"),
        State("task", "value"),
        State("part-values", "value"),
        State("fewest-patients", "value"),
        State("label-columns", "value"),
        *[State(key, "value") for key in dialects.FIELDS],
        *[State(f"column-{key}", "value") for key, _ in _COLUMNS],
        running=[(Output("build", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def build(  # pyright: ignore[reportUnusedFunction]
        _n: Any, contents: Any, name: Any, task: Any, meaning: Any, fewest: Any, classes: Any, *said: Any
    ) -> Any:
        fields, columns = said[: len(dialects.FIELDS)], said[len(dialects.FIELDS) :]
        of = {key: value or "" for (key, _), value in zip(_COLUMNS, columns, strict=True)}
        refused: Any = (no_update, no_update)
        # An error is shown at the field that it is about.
        try:
            meant = part_values(meaning or "")
        except InvalidArgument as e:
            return None, *refused, str(e), None, no_update
        try:
            dialect = dialects.dialect(*fields)
        except InvalidArgument as e:
            return None, *refused, None, str(e), True
        try:
            if (
                not contents
                or not (of["recording"] or of["patient"])
                or not (of["label"] or classes)
                or not name
            ):
                raise InvalidArgument(
                    "Choose a table, a name, the recording column and the label column first."
                )
            made = gateway.build_dataset(
                DatasetOrder(
                    name=name,
                    table=_decoded(contents),
                    recording_column=of["recording"],
                    # A column for each class takes the place of one for all.
                    label_column="" if classes else of["label"],
                    label_columns=tuple(classes or ()),
                    patient_column=of["patient"],
                    part_column=of["part"],
                    time_column=of["time"],
                    part_values=meant,
                    task=_TASKS[task],
                    fewest_patients=int(fewest or 0),
                    dialect=dialect,
                )
            )
        except ExchangeaiError as e:
            return problem(e), *refused, None, None, no_update
        return None, made.dataset_id, False, None, None, no_update

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
        facts = [x.fact for x in listed]
        data = [{"value": d.dataset_id, "label": f"{d.name} ({d.state})"} for d in facts]
        current = next((x for x in listed if x.fact.dataset_id == value), None)
        state = current.fact.state if current else None
        shown = parts.dataset(current.fact, current.test_looks) if current else None
        busy = state in (DatasetState.QUEUED, DatasetState.BUILDING)
        return data, shown, not busy, state is not DatasetState.READY

    @app.callback(
        Output("report-file", "data"),
        Output("report-outcome", "children"),
        Input({"type": "report", "dataset": ALL, "kind": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def download(clicks: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not any(clicks):  # the buttons have just been inserted, which also calls
            return no_update, no_update
        chosen = cast("Any", ctx).triggered_id
        try:
            content = gateway.dataset_report(chosen["dataset"], ReportKind(chosen["kind"]))
        except ExchangeaiError as e:
            return no_update, problem(e)
        encoded = base64.b64encode(content).decode()
        return {
            "filename": f"{chosen['kind']}-{chosen['dataset'][:8]}.csv",
            "content": encoded,
            "base64": True,
            "type": "text/csv",
        }, None


def _decoded(contents: Any) -> bytes:
    return base64.b64decode(str(contents).partition(",")[2])
