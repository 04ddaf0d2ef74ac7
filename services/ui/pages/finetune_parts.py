"""The parts of the page Fine-tune: progress, join report, results, runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from exchangeai.facts import DatasetFact, RunFact
from exchangeai.join_report import ReportKind
from exchangeai.metrics import Estimate
from services.ui.label_table import TableHead
from services.ui.pages.notices import empty, number


def progress(share: float, what: str) -> Any:
    """A bar that says its value to screen readers too."""
    percent = round(100 * min(max(share, 0), 1))
    told: dict[str, Any] = {
        "aria-label": what,
        "aria-valuenow": str(percent),
        "aria-valuemin": "0",
        "aria-valuemax": "100",
    }
    return html.Div(
        html.Div(style={"width": f"{percent}%"}),
        className="progress",
        role="progressbar",
        **told,
    )


def preview(head: TableHead) -> Any:
    """The first rows of a label table."""
    return html.Div(table(head.columns, head.rows), className="scroll")


_REPORTED = {
    ReportKind.UNMATCHED_ROW: "rows name no known recording",
    ReportKind.UNMATCHED_RECORDING: "recordings are in no row",
    ReportKind.UNUSABLE: "rows cannot be used",
    ReportKind.WITHOUT_LABEL: "rows without a label",
    ReportKind.REPEATED_ROW: "rows repeat a recording",
    ReportKind.CONTRADICTORY: "rows contradict one another and are left out",
    ReportKind.SAME_SIGNAL: "recordings show an ECG that another file shows, and are left out",
    ReportKind.UNKNOWN_PATIENT: "recordings of unknown patients, each counted as one of its own",
    ReportKind.RARE_CLASS: "rare classes",
    ReportKind.POOR_QUALITY: "recordings are not analysable and are left out",
    ReportKind.NOT_PREPROCESSED: "recordings could not be preprocessed and are left out",
}


def _told(d: DatasetFact) -> list[Any]:
    """How the join went, each finding with its table to download."""
    found = [html.Li(f"{d.report.matched} rows joined to a recording")]
    for kind, words in _REPORTED.items():
        count = d.report.counts.get(kind, 0)
        if count:
            key = {"type": "report", "dataset": d.dataset_id, "kind": kind.value}
            label: dict[str, Any] = {"aria-label": f"Download: {words}"}
            button = html.Button("CSV", id=key, className="link", **label)
            found.append(html.Li([f"{count} {words} ", button]))
    return found


def _looked(looks: int) -> str:
    runs = f"{looks} run{'' if looks == 1 else 's'}"
    return f"The test part is frozen; {runs if looks else 'no run'} looked at it."


def dataset(d: DatasetFact, looks: int = 0) -> Any:
    """State, report and parts of a data set, and how often its test part was looked at."""
    parts = table(
        # Classes go down, so that any number of them fits beside the page.
        ("Number of", *(p.part for p in d.parts)),
        [
            ("Recordings", *(str(p.recordings) for p in d.parts)),
            ("Patients", *(str(p.patients) for p in d.parts)),
            *[(name, *(str(p.positives[i]) for p in d.parts)) for i, name in enumerate(d.classes)],
        ],
    )
    busy = d.state in ("queued", "building")
    return html.Div(
        [
            html.Div(
                [html.Strong(d.name), html.Span(d.state, className=f"state {d.state}")], className="run-head"
            ),
            progress(d.progress, "Data set being built") if busy else None,
            html.P(d.error, className="reason") if d.error else None,
            html.P(" ".join(d.report.notes), className="quiet") if d.report.notes else None,
            html.Ul(_told(d)),
            html.Ul([html.Li(f"row {u.row}: {u.reason}") for u in d.report.unusable[:5]]),
            html.P(_looked(looks), className="quiet", id="test-looks") if d.state == "ready" else None,
            html.Div(parts, className="scroll") if d.parts else None,
        ],
        id="dataset-report",
    )


def run_head(run: RunFact) -> Any:
    """Name, state, progress and what is being done."""
    ended = run.state.ended
    eta = f"about {duration(run.eta_s)} left" if run.eta_s and not ended else ""
    version = f":{run.model_version}" if run.model_version else ""
    started = f"from {run.base_model}" if run.base_model else "from scratch"
    best = f"best epoch {run.best_epoch}" if run.best_epoch else ""
    words = [
        run.activity if not ended else "",
        f"epoch {len(run.epochs)} of at most {run.options.max_epochs}",
        best,
        eta,
    ]
    return html.Div(
        [
            html.Div(
                [
                    html.H1(run.model_name + version),
                    html.Span(run.state, className=f"state {run.state}", id="run-state"),
                    html.Span(f"{run.architecture}, {started}", className="quiet"),
                ],
                className="run-head",
            ),
            None if ended else progress(run.progress, "Training"),
            html.P(" · ".join(w for w in words if w), className="quiet"),
            html.P(run.error, className="reason") if run.error else None,
        ]
    )


def runs(listed: Sequence[RunFact]) -> Any:
    """All runs, newest first."""
    if not listed:
        return empty("No runs yet", "Choose a data set and an architecture, then start.")
    rows = [
        (
            dcc.Link(
                f"{r.model_name}:{r.model_version}" if r.model_version else r.model_name,
                href=f"/fine-tune/{r.run_id}",
                className="name",
                title=r.model_name,
            ),
            html.Span(r.state, className=f"state {r.state}"),
            r.architecture,
            str(r.best_epoch or "—"),
            _score(r),
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(r.created_at)) + " UTC",
        )
        for r in listed
    ]
    return table(("Model", "State", "Architecture", "Best epoch", "Score on test", "Started"), rows)


def _score(r: RunFact) -> str:
    if r.test is None:
        return f"{100 * r.progress:.0f} % done" if r.state.working else "—"
    if r.test.targets:
        return f"error {interval(r.test.error)}"
    return f"AUROC {interval(r.test.macro_auroc)}"


def interval(e: Estimate, digits: int = 2) -> str:
    """A number with its interval in brackets."""
    if e.value is None:
        return "—"
    low, high = number(e.low, digits), number(e.high, digits)
    return number(e.value, digits) + ("" if e.low is None or e.high is None else f" [{low}–{high}]")


def stacked(estimate: Estimate, digits: int = 2) -> Any:
    """A number above its interval, so that many columns fit."""
    value, _, bounds = interval(estimate, digits).partition(" ")
    return html.Div([value, html.Div(bounds, className="bounds") if bounds else None])


def duration(seconds: float) -> str:
    """Seconds, or minutes when there are many."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """A table with a line of headings."""
    return html.Table(
        [
            html.Thead(html.Tr([html.Th(h, scope="col") for h in head])),
            html.Tbody([html.Tr([html.Td(cell) for cell in row]) for row in rows]),
        ],
        className="table",
    )
