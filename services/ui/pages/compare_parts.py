"""The parts of the page Compare: progress, leaderboard, label efficiency, runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from exchangeai.comparisons import (
    ComparedRun,
    ComparisonFact,
    ComparisonProgress,
    ComparisonRow,
    PartScores,
)
from exchangeai.metrics import Estimate
from services.ui.figures import leaderboard, theme
from services.ui.pages.finetune_parts import duration, progress, stacked, table
from services.ui.pages.notices import empty, number

_SCORES = {"macro_auroc": "Macro-AUROC", "error": "Error over spread"}


def head(fact: ComparisonFact, told: ComparisonProgress) -> Any:
    """Name, state, progress, what is being done."""
    done = sum(r.state.ended for r in told.runs)
    words = [
        f"{len(fact.architectures)} architectures, {len(fact.seeds)} seeds",
        f"{done} of {len(told.runs)} runs ended" if fact.state.ended else told.activity,
        f"about {duration(told.eta_s)} left" if told.eta_s and not fact.state.ended else "",
    ]
    return html.Div(
        [
            html.Div(
                [
                    html.H1(fact.name),
                    html.Span(fact.state, className=f"state {fact.state}", id="comparison-state"),
                ],
                className="run-head",
            ),
            None if fact.state.ended else progress(told.share, "Comparison"),
            html.P(" · ".join(w for w in words if w), className="quiet"),
            html.P(fact.error, className="reason") if fact.error else None,
        ]
    )


def board(fact: ComparisonFact, *, dark: bool) -> Any:
    """The leaderboard and its charts."""
    if not fact.rows:
        if fact.state.ended:
            return None
        return html.P("The leaderboard is made when the last run has ended.", className="quiet")
    title = _SCORES.get(fact.score_name, fact.score_name)
    better = "less is better" if fact.score_name == "error" else "more is better"
    efficient = any(r.label_efficiency for r in fact.rows)
    ranked = any(r.validation for r in fact.rows)
    return html.Div(
        [
            html.H2("Leaderboard"),
            html.P(
                f"{title}, {better}; mean over seeds, ranked on validation alone. Intervals: 95 %, "
                f"{fact.bootstrap_draws} bootstrap draws over patients; differences take the same patients "
                "for both. “=” cannot be told from the best.",
                className="quiet",
            ),
            _figure("dots", leaderboard.dots_and_whiskers(fact.rows, title, dark=dark)) if ranked else None,
            _leaderboard(fact.rows, title),
            html.H2("Label efficiency", style={"marginTop": "18px"}) if efficient else None,
            _figure("efficiency", leaderboard.label_efficiency(fact.rows, f"{title} (validation)", dark=dark))
            if efficient
            else None,
        ]
    )


def _figure(key: str, figure: dict[str, Any]) -> Any:
    return html.Figure(dcc.Graph(id=key, figure=figure, config=theme.CONFIG))


def _leaderboard(rows: Sequence[ComparisonRow], title: str) -> Any:
    columns = (
        *("#", "Architecture", "Validation", "Seeds ±", "To the best", "Test"),
        *("F1", "Brier", "ECE", "Weights", "GFLOPs", "ms/ECG", "Training"),
    )
    scroll: dict[str, Any] = {
        "tabIndex": 0,
        "role": "region",
        "aria-label": "Leaderboard, a table that scrolls",
    }
    shown = table(columns, [_row(r) for r in rows])
    return html.Div(shown, className="scroll nowrap", id="leaderboard", **scroll)


def _row(row: ComparisonRow) -> tuple[Any, ...]:
    v = row.validation
    name: list[Any] = [html.Span(row.architecture, className="name", title=row.architecture)]
    if row.failed:
        name.append(
            html.Div(
                f"{row.failed} of {row.failed + row.succeeded} runs missing: {row.error}",
                className="reason why",
            )
        )
    cost = (
        f"{row.parameters / 1e6:.2f} M",
        f"{row.gflops:.2f}",
        number(row.inference_ms, 1) if row.inference_ms else "—",
        duration(row.training_s) if row.training_s else "—",
    )
    if v is None:
        return ("—", html.Div(name), *("—" for _ in range(7)), *cost)
    # Calibration is that of patients who were not used to choose anything, where there are some.
    of = row.test or v
    return (
        str(row.rank),
        html.Div(name),
        stacked(v.score, 3),
        number(v.seed_deviation, 3),
        "best" if row.rank == 1 else _difference(v),
        stacked(row.test.score, 3) if row.test else "—",
        number(of.macro_f1),
        number(of.brier, 3),
        number(of.calibration_error, 3),
        *cost,
    )


def _difference(scores: PartScores) -> Any:
    d: Estimate = scores.difference
    if d.value is None:
        return "—"
    ends = "" if d.low is None or d.high is None else f"[{d.low:+.3f}, {d.high:+.3f}]"
    told = f"{d.value:+.3f}{' =' if scores.indistinguishable else ''}"
    return html.Div([told, html.Div(ends, className="bounds")])


def runs(listed: Sequence[ComparedRun], ended: bool) -> Any:
    """Every run with its state, progress and reason; folded away when all is done and well."""
    failed = sum(r.state == "failed" for r in listed)
    rows = [
        (
            dcc.Link(r.architecture, href=f"/fine-tune/{r.run_id}", className="name", title=r.architecture),
            str(r.seed),
            f"{100 * r.label_share:g} %",
            html.Span(r.state, className=f"state {r.state}"),
            f"{100 * r.progress:.0f} %",
            number(r.validation_score, 3),
            html.Span(r.error, className="reason why") if r.error else "",
        )
        for r in listed
    ]
    columns = ("Architecture", "Seed", "Labels", "State", "Done", "Best on validation", "Reason")
    return html.Details(
        [
            html.Summary(f"{len(listed)} runs" + (f", {failed} failed" if failed else "")),
            html.Div(table(columns, rows), className="scroll", tabIndex=0),
        ],
        open=not ended or failed > 0,
        id="compared-runs",
    )


def comparisons(listed: Sequence[ComparisonFact]) -> Any:
    """All comparisons, newest first."""
    if not listed:
        return empty("No comparisons yet", "Choose a data set and two architectures or more, then start.")
    rows = [
        (
            dcc.Link(c.name, href=f"/compare/{c.comparison_id}", className="name", title=c.name),
            html.Span(c.state, className=f"state {c.state}"),
            str(len(c.architectures)),
            str(len(c.runs)),
            next((r.architecture for r in c.rows if r.rank == 1), "—"),
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(c.created_at)) + " UTC",
        )
        for c in listed
    ]
    return table(("Comparison", "State", "Architectures", "Runs", "Best", "Started"), rows)
