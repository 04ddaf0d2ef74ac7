"""What a finished run was found to do: metrics with intervals, figures, subgroups, the model card."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from exchangeai.facts import RunFact
from exchangeai.int8 import Int8Form
from exchangeai.metrics import TestReport
from services.ui.figures import evaluation, theme
from services.ui.pages.finetune_parts import interval, stacked, table
from services.ui.pages.notices import number


def results(run: RunFact, *, dark: bool) -> Any:
    """The report of a run that has succeeded."""
    report = run.test
    if report is None:
        return None
    where = "test" if report.part == "test" else report.part
    return html.Div(
        [
            html.Div(
                [
                    html.H2(f"Results on the {where} part"),
                    html.Button("Model card", id="card", className="link"),
                ],
                className="run-head spread",
            ),
            _figures_of_merit(report),
            html.P(_protocol(report), className="quiet"),
            html.P(int8_words(run.int8_form), id="int8-form") if run.int8_form else None,
            _targets(report) if report.targets else _classes(report),
            _charts(report, dark=dark),
            _subgroups(report) if report.subgroups else None,
        ]
    )


def int8_words(form: Int8Form) -> str:
    """What became of the form in eight bits."""
    if not form.digest:
        return f"No int8 form was published: {form.reason}."
    where = f"{form.model_name}:{form.model_version}" if form.model_version else form.model_name
    return (
        f"Int8 form {where}: loses {number(form.loss.value, 4)} of macro-AUROC (95 % interval "
        f"{number(form.loss.low, 4)} to {number(form.loss.high, 4)}). A window takes it "
        f"{number(form.inference_ms, 1)} ms, the float32 form {number(form.float32_ms, 1)} ms, on one thread "
        "where the run ended."
    )


def _figures_of_merit(report: TestReport) -> Any:
    if report.targets:
        shown = [("Error over spread", interval(report.error, 3))]
    else:
        shown = [
            ("Macro-AUROC", interval(report.macro_auroc, 3)),
            ("Micro-AUROC", interval(report.micro_auroc, 3)),
            ("Macro-AUPRC", interval(report.macro_auprc, 3)),
            ("Macro-F1", interval(report.macro_f1, 3)),
            ("Brier score", number(report.brier, 3)),
            ("Calibration error", number(report.calibration_error, 3)),
        ]
    if report.coverage.value is not None:
        shown.append(("Conformal coverage (0.90 asked)", interval(report.coverage, 3)))
    if report.set_size is not None:
        shown.append(("Mean conformal set", number(report.set_size)))
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)]) for name, value in shown],
        className="merits",
    )


def _protocol(report: TestReport) -> str:
    told = (
        f"{report.recordings} recordings of {report.patients} patients. In brackets: 95 % interval, "
        f"{report.bootstrap_draws} bootstrap draws over patients. Thresholds come from validation."
    )
    if report.part != "test":
        told += " There is no test part: epochs and thresholds were chosen on these very recordings."
    if report.unlabelled:
        what = "left out" if report.unlabelled_dropped else "counted as negatives"
        told += f" {report.unlabelled} recordings have none of the classes and were {what}."
    return told


def _classes(report: TestReport) -> Any:
    rows = [
        (
            html.Span(c.name, className="name", title=c.name),
            str(c.positives),
            stacked(c.auroc),
            stacked(c.auprc),
            stacked(c.f1),
            stacked(c.sensitivity),
            stacked(c.specificity),
            number(c.threshold),
        )
        for c in report.classes
    ]
    mean = (
        html.Strong("Macro mean"),
        "",
        stacked(report.macro_auroc),
        stacked(report.macro_auprc),
        stacked(report.macro_f1),
        *("", "", ""),
    )
    head = ("Class", "Positives", "AUROC", "AUPRC", "F1", "Sensitivity", "Specificity", "Threshold")
    return html.Div(table(head, [*rows, mean]), className="scroll", id="results", **_REGION)


_REGION: dict[str, Any] = {"tabIndex": 0, "role": "region", "aria-label": "Metrics, a table that scrolls"}
"""What scrolls must be reached by the keyboard."""


def _targets(report: TestReport) -> Any:
    rows = [
        (
            html.Span(t.name, className="name", title=t.name),
            str(t.recordings),
            stacked(t.mean_absolute_error),
            stacked(t.root_mean_square_error),
            stacked(t.r2),
            stacked(t.bias),
            f"{number(t.agreement_low)} to {number(t.agreement_high)}",
        )
        for t in report.targets
    ]
    head = ("Target", "Recordings", "Mean absolute error", "RMSE", "R²", "Bias", "Limits of agreement")
    return html.Div(table(head, rows), className="scroll", id="results", **_REGION)


def _charts(report: TestReport, *, dark: bool) -> Any:
    shown: list[Any] = []
    if report.reliability:
        figure = evaluation.reliability(report.reliability, dark=dark)
        error = number(report.calibration_error, 3)
        shown.append(
            html.Figure(
                [
                    html.H3("Reliability, all classes together"),
                    dcc.Graph(id="reliability", figure=figure, config=theme.CONFIG),
                    html.Figcaption(
                        f"On the dashed line predictions are as honest as they can be; error {error}.",
                        className="quiet",
                    ),
                ]
            )
        )
    if report.confusion:
        shown.append(html.Div([html.H3("Decisions (columns) by truth (rows)"), _confusion(report)]))
    return html.Div(shown, className="charts") if shown else None


def _confusion(report: TestReport) -> Any:
    names = [c.name for c in report.classes]
    count = len(names)
    rows = [report.confusion[i * count : (i + 1) * count] for i in range(count)]

    def cell(row: tuple[int, ...], i: int, j: int) -> Any:
        share = row[j] / sum(row) if sum(row) else 0.0
        kind = "right" if i == j else "wrong"
        return html.Td(
            [html.Strong(str(row[j])), html.Span(f" {100 * share:.0f} %", className="quiet")],
            className=f"cell {kind}",
            style={"--share": f"{100 * share:.0f}%"},
        )

    return html.Div(
        html.Table(
            [
                html.Thead(
                    html.Tr(
                        [
                            html.Th("Truth", scope="col"),
                            *[html.Th(n, scope="col", className="name", title=n) for n in names],
                        ]
                    )
                ),
                html.Tbody(
                    [
                        html.Tr(
                            [
                                html.Th(names[i], scope="row", className="name", title=names[i]),
                                *[cell(row, i, j) for j in range(count)],
                            ]
                        )
                        for i, row in enumerate(rows)
                    ]
                ),
            ],
            className="table confusion",
            id="confusion",
        ),
        className="scroll",
        tabIndex=0,
    )


def _subgroups(report: TestReport) -> Any:
    rows = [(g.kind, g.name, str(g.recordings), str(g.patients), interval(g.score)) for g in report.subgroups]
    score = "Error over spread" if report.targets else "Macro-AUROC"
    return html.Details(
        [
            html.Summary(f"{len(rows)} subgroups"),
            table(("Kind", "Subgroup", "Recordings", "Patients", score), rows),
        ],
        id="subgroups",
        open=True,
    )


def rate_search(run: RunFact, *, dark: bool) -> Any:
    """How the learning rate was found."""
    search = run.rate_search
    if search is None:
        return None
    return html.Details(
        [
            html.Summary(f"Learning rate {search.chosen:.2g}, found in {len(search.rates)} steps"),
            dcc.Graph(
                id="rate-search", figure=evaluation.rate_search(search, dark=dark), config=theme.CONFIG
            ),
        ]
    )
