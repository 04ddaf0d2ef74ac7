"""The parts of the page Analyse: worklist, header, quality, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import dcc, html

from exchangeai.findings import ConformalVerdict
from exchangeai.leads import derive_limb_leads
from exchangeai.measurements import Axes, Intervals, Measurements, Verdict
from services.ui.figures.geometry import PaperLead
from services.ui.pages.notices import empty, number
from services.ui.views import FindingView, MeasuredView, PredictionView, RecordingView, SignalView

_VERDICTS = {
    Verdict.ANALYSABLE: ("Analysable", "good"),
    Verdict.LIMITED: ("Limited", "care"),
    Verdict.NOT_ANALYSABLE: ("Not analysable", "bad"),
}


def worklist(recordings: Sequence[RecordingView], chosen: str, names: Mapping[str, str]) -> list[Any]:
    """One link for each recording; names are those this browser dropped, else the short id."""
    if not recordings:
        return [empty("No recordings yet", "Drop ECG files to begin. They never leave this site.")]
    return [
        dcc.Link(
            href=f"/analyse/{r.recording_id}",
            className="worklist-item" + (" active" if r.recording_id == chosen else ""),
            children=[
                html.Span(names.get(r.recording_id, r.recording_id[:10]), className="worklist-name"),
                html.Span(r.status, className=f"state {r.status}"),
                html.Span(
                    f"{r.reason}: {r.message}"
                    if r.status == "unreadable"
                    else f"{r.format.upper()} · {r.duration_s:g} s",
                    className="worklist-note",
                ),
            ],
        )
        for r in recordings
    ]


def header(r: RecordingView, name: str, position: str) -> Any:
    """Who, when, with what: one line above the tracing."""
    facts = (
        ("Recording", r.recording_id[:10]),
        ("Sex", r.sex),
        ("Age", r.age),
        ("Recorded", r.year),
        ("Device", r.device),
        ("Format", r.format.upper() or "—"),
        ("Duration", f"{r.duration_s:g} s" if r.duration_s else "—"),
        ("Leads", str(len(r.leads)) if r.leads else "—"),
    )
    return html.Div(
        className="record-header",
        children=[
            html.H1(name or r.recording_id[:10]),
            html.Span(position, className="quiet"),
            html.Dl([html.Div([html.Dt(term), html.Dd(value)]) for term, value in facts]),
            *[html.P(w, className="warning-line") for w in _warnings(r)],
        ],
    )


def _warnings(r: RecordingView) -> list[str]:
    same = f"the same ECG came earlier in another file: recording {r.same_signal_as[:10]}"
    return [*([same] if r.same_signal_as else []), *r.warnings]


def measured(m: MeasuredView) -> Any:
    """Heart rate, intervals, axes and signal quality, each absent value with its reason."""
    word, tone = _VERDICTS[m.quality.verdict]
    flagged = [f"{x.lead}: {', '.join(map(_in_words, x.flags))}" for x in m.quality.leads if x.flags]
    found = m.measurements
    return html.Div(
        [
            html.Div(
                [
                    html.Span(number(found.heart_rate_bpm, 0), className="big", id="heart-rate"),
                    html.Span(" /min", className="unit"),
                    html.Span(_from_leads(found.leads), className="quiet"),
                    html.Span(
                        f" · RR {_in_words(found.regularity)}" if found.regularity else "", className="quiet"
                    ),
                ]
            ),
            _intervals(found),
            *[html.P(n, className="quiet") for n in found.notes],
            html.H3("Signal quality"),
            html.P(html.Span(word, className=f"state {tone}")),
            html.P(_accepted(m.quality.acceptable_probability), className="quiet", id="acceptable"),
            *[html.P(reason, className="reason") for reason in m.quality.reasons],
            html.P(", ".join(_in_words(x) for x in m.quality.flags), className="quiet"),
            html.Ul([html.Li(x) for x in flagged], id="lead-flags")
            if flagged
            else html.P("No lead is flagged.", className="quiet", id="lead-flags"),
        ]
    )


_FLAGS = {
    "derived": "computed from I and II",
    "flat": "flat line",
    "saturated": "cut off at the recorder's limit",
    "lead_off": "electrode off",
    "gaps": "samples are absent",
    "limb_lead_residual": "limb leads do not add up",
    "duplicated_leads": "two leads are the same signal",
}


def _in_words(flag: str) -> str:
    """`mains_noise` as people say it."""
    return _FLAGS.get(flag, flag.replace("_", " "))


def _accepted(probability: float | None) -> str:
    """How likely a reader would take the signal as it is."""
    told = "—" if probability is None else f"{100 * probability:.0f}\u00a0%"
    return f"Probability that readers accept it for diagnosis: {told}"


def _intervals(found: Measurements) -> Any:
    """The values that a report begins with; a dash where one is absent."""
    timed, axes = found.intervals or Intervals(rr_ms=0), found.axes or Axes()
    rows = (
        ("PR", timed.pr_ms, "ms"),
        ("QRS", timed.qrs_ms, "ms"),
        ("QT", timed.qt_ms, "ms"),
        ("QTc Bazett", timed.qtc_bazett_ms, "ms"),
        ("QTc Fridericia", timed.qtc_fridericia_ms, "ms"),
        ("P axis", axes.p_deg, "°"),
        ("QRS axis", axes.qrs_deg, "°"),
        ("T axis", axes.t_deg, "°"),
    )
    return html.Dl(
        [
            html.Div([html.Dt(name), html.Dd("—" if value is None else f"{number(value, 0)} {unit}".strip())])
            for name, value, unit in rows
        ],
        className="measurements",
        id="intervals",
    )


def _from_leads(leads: Sequence[str]) -> str:
    if not leads:
        return ""
    return f"from lead {leads[0]}" if len(leads) == 1 else f"from {len(leads)} leads together"


def findings(p: PredictionView) -> Any:
    """Named findings against their thresholds, told by words as well as by colour, and their origin."""
    if not p.findings:
        body: list[Any] = [
            html.P("No findings: the model may not judge this recording.", className="reason"),
            *[html.P(x, className="reason") for x in p.refusals or p.quality.reasons],
        ]
    else:
        body = [_finding(f) if f.value is None else _predicted(f, f.value) for f in p.findings]
    origin = (
        f"{p.model} · model {p.model_digest[:12]} · input {p.input_digest[:12]} · "
        f"code {p.code_version} · request {p.request_id}"
    )
    body += [html.P(x, className="reason") for x in p.notes]
    body.append(html.P(_likeness(p), className="quiet", id="ood"))
    return html.Div([*body, html.P(origin, className="provenance", id="provenance")], id="finding-list")


def _likeness(p: PredictionView) -> str:
    """How like the training data the recording is."""
    if p.ood_percentile is None:
        return "Likeness to the training data: not assessed"
    told = f"{p.ood_percentile:.1f}\u00a0% of the validation ECGs are more like the training data"
    return f"{told}: outside the limit" if p.ood_outside else told


_CONFORMAL = {
    ConformalVerdict.UNDECIDED: " · undecided",
    ConformalVerdict.IN_SET: " · in the conformal set",
}
"""Of the other verdicts the place of the bar says enough."""


def _finding(f: FindingView) -> Any:
    return html.Div(
        className="finding" + (" present" if f.present else ""),
        children=[
            html.Span(f.name, className="finding-name"),
            html.Span(number(f.probability, _digits(f)), className="finding-value"),
            html.Div(
                className="bar",
                children=[
                    html.Div(className="bar-fill", style={"width": f"{100 * f.probability:.1f}%"}),
                    html.Div(className="bar-tick", style={"left": f"{100 * f.threshold:.1f}%"}),
                ],
            ),
            html.Span(
                ("above" if f.probability >= f.threshold else "below")
                + f" threshold {number(f.threshold, _digits(f))}"
                + (" · most probable" if f.present and f.probability < f.threshold else "")
                + (_CONFORMAL.get(f.conformal, "") if f.conformal is not None else ""),
                className="finding-verdict",
            ),
        ],
    )


def _predicted(f: FindingView, value: float) -> Any:
    bounds = "" if f.low is None or f.high is None else f"90 % between {number(f.low)} and {number(f.high)}"
    return html.Div(
        className="finding",
        children=[
            html.Span(f.name, className="finding-name"),
            html.Span(number(value), className="finding-value"),
            html.Span(bounds, className="finding-verdict"),
        ],
    )


def _digits(f: FindingView) -> int:
    """One digit more where probability and threshold would read the same."""
    return 3 if number(f.probability) == number(f.threshold) else 2


def refused(r: RecordingView) -> Any:
    """In place of a tracing: why there is none."""
    return dmc.Alert(
        title=f"This file could not be read ({r.reason})",
        children=r.message,
        color="red",
        variant="light",
        className="problem",
    )


def paper_leads(signals: Sequence[SignalView]) -> dict[str, PaperLead]:
    """Leads by name; limb leads that follow from I and II are added and marked as derived."""
    leads: dict[str, PaperLead] = {}
    for s in signals:
        leads.setdefault(s.lead, PaperLead(samples_mv=s.samples_mv, sampling_rate_hz=s.sampling_rate_hz))
    one, two = leads.get("I"), leads.get("II")
    if one and two and one.sampling_rate_hz == two.sampling_rate_hz:
        present = {name: lead.samples_mv for name, lead in leads.items()}
        for name, samples in derive_limb_leads(present).items():
            leads[name] = PaperLead(samples_mv=samples, sampling_rate_hz=one.sampling_rate_hz, derived=True)
    return leads
