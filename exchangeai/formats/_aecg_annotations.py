"""Annotation sets of an aECG series: what was measured, what was stated, and marks in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from exchangeai.formats._aecg_series import lead_name
from exchangeai.formats._aecg_values import (
    Instant,
    attribute,
    child,
    instant,
    milliseconds,
    named_children,
    per_minute,
    quantity,
    seconds_per,
)
from exchangeai.formats._xml_fields import number
from exchangeai.recording import Annotation

_MEASURED = {
    "HEART_RATE": "ventricular_rate",
    "TIME_PD_RR": "rr_ms", "TIME_PD_PP": "pp_ms", "TIME_PD_P": "p_ms", "TIME_PD_PR": "pr_ms",
    "TIME_PD_PQ": "pr_ms", "TIME_PD_QRS": "qrs_ms", "TIME_PD_QT": "qt_ms", "TIME_PD_QTC": "qtc_ms",
    "TIME_PD_QTCB": "qtc_bazett_ms", "TIME_PD_QTC_BAZETT": "qtc_bazett_ms",
    "TIME_PD_QTCF": "qtc_fridericia_ms", "TIME_PD_QTC_FRIDERICIA": "qtc_fridericia_ms",
    "TIME_PD_QTC_FRAMINGHAM": "qtc_framingham_ms", "TIME_PD_QTC_HODGES": "qtc_hodges_ms",
    "ANGLE_P_FRONT": "p_axis_deg", "ANGLE_QRS_FRONT": "qrs_axis_deg", "ANGLE_T_FRONT": "t_axis_deg",
}  # fmt: skip
"""By ISO/IEEE 11073-10102 code without `MDC_ECG_` and the suffix `_GL` (global)."""
_WAVES = {"WAVC_PWAVE": "p", "WAVC_QRSWAVE": "qrs", "WAVC_TWAVE": "t"}
_STATED = "INTERPRETATION"
_BEAT = "BEAT"
_DEGREES_PER_RADIAN = 57.29577951308232


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the annotation sets of one series say."""

    measured: dict[str, float] = field(default_factory=dict[str, float])
    """Of the series as a whole; the first set to say it counts."""
    by_beat: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    """Of single beats: the elements with the values."""
    statements: list[str] = field(default_factory=list[str])
    annotations: list[Annotation] = field(default_factory=list[Annotation])

    def typical(self) -> dict[str, float]:
        """Medians of what was measured beat by beat but not of the whole."""
        found: dict[str, float] = {}
        for key in self.by_beat.keys() - self.measured.keys():
            amounts = [x for x in (_amount(key, value) for value in self.by_beat[key]) if x is not None]
            if amounts:
                found[key] = float(median(amounts))
        return found


@dataclass(frozen=True, kw_only=True)
class _Region:
    """The part of a series that an annotation is about, in seconds of the series."""

    low_s: float | None
    high_s: float | None
    lead: str | None


_NOWHERE = _Region(low_s=None, high_s=None, lead=None)


def findings_of(series: Any, start: Instant | None, offset_s: float, *, is_beat: bool) -> Findings:
    """Read the annotation sets of a `series` or, when `is_beat`, of a representative beat.

    Times count from `start`, relative ones from `offset_s`; those of a beat become onsets and offsets among
    the measurements, in ms of the beat's own axis.
    """
    found = Findings()
    for subject in series.iterchildren("{*}subjectOf"):
        for one_set in subject.iterchildren("{*}annotationSet"):
            within: dict[Any, str] = {}
            for node in one_set.iter("{*}annotation"):
                # Annotations of a beat stand in `component` elements of the beat's own annotation.
                beat = within.get(node.getparent().getparent())
                if beat_of_parts := _read(node, found, start, offset_s, is_beat=is_beat, beat=beat):
                    within[node] = beat_of_parts
    return found


def _read(
    node: Any, found: Findings, start: Instant | None, offset_s: float, *, is_beat: bool, beat: str | None
) -> str | None:
    """Put what one annotation says into `found`; returns the beat to which annotations inside it belong."""
    children = named_children(node)
    value, named = children.get("value"), attribute(children.get("code"), "code")
    code = _bare(named)
    region = _region(children.get("support"), start, offset_s)
    said = attribute(value, "code")
    if code.startswith(_STATED):
        if text := _text(value):
            found.statements.append(text)
    elif code in _MEASURED:
        key = _MEASURED[code]
        if region.lead is None and beat is not None:
            found.by_beat.setdefault(key, []).append(value)
        elif region.lead is None and (amount := _amount(key, value)) is not None:
            found.measured.setdefault(key, amount)
    elif is_beat:
        if region.lead is None and _bare(said) in _WAVES:
            _onset_and_offset(_WAVES[_bare(said)], region, offset_s, found)
    elif mark := _mark(said or named, region, beat or ""):
        found.annotations.append(mark)
    if "component" not in children:
        return None
    return (said or _BEAT) if code == _BEAT else beat


def _bare(code: str) -> str:
    return code.upper().removeprefix("MDC_ECG_").removesuffix("_GL")


def _text(value: Any) -> str:
    if value is None:
        return ""
    original = child(value, "originalText")
    texts = (value.text, None if original is None else original.text, value.get("displayName"))
    written = (" ".join((x or "").split()) for x in (*texts, value.get("code"), value.get("value")))
    return next((x for x in written if x), "")


def _amount(key: str, value: Any) -> float | None:
    pair = quantity(value)
    if pair is None:
        return None
    if key.endswith("_ms"):
        return milliseconds(*pair)
    if key.endswith("_deg"):
        return pair[0] * (_DEGREES_PER_RADIAN if pair[1] == "rad" else 1.0)
    return per_minute(*pair)


def _onset_and_offset(wave: str, region: _Region, offset_s: float, found: Findings) -> None:
    for name, at_s in (("onset", region.low_s), ("offset", region.high_s)):
        if at_s is not None:
            found.measured.setdefault(f"{wave}_{name}_ms", round((at_s + offset_s) * 1e3, 6))


def _mark(label: str, region: _Region, beat: str) -> Annotation | None:
    if region.low_s is None:
        detail = f"{beat} offset".strip()
        return (
            None
            if region.high_s is None
            else Annotation(onset_s=region.high_s, label=label, lead=region.lead, detail=detail)
        )
    duration_s = None if region.high_s is None else max(0.0, round(region.high_s - region.low_s, 9))
    return Annotation(
        onset_s=region.low_s,
        label=label,
        duration_s=duration_s,
        lead=region.lead,
        detail=beat,
    )


def _region(support: Any, start: Instant | None, offset_s: float) -> _Region:
    if support is None:
        return _NOWHERE
    low = high = lead = None
    for boundary in support.iter("{*}boundary"):
        parts = named_children(boundary)
        code, value = parts.get("code"), parts.get("value")
        if not attribute(code, "code").startswith("TIME_"):
            lead = lead_name(code) or lead
        elif value is not None:
            ends = named_children(value)
            low, high = (_seconds(ends.get(x), start, offset_s) for x in ("low", "high"))
            for point in (value, ends.get("center")):
                low = _seconds(point, start, offset_s) if low is None else low
    return _Region(low_s=low, high_s=high, lead=lead)


def _seconds(node: Any, start: Instant | None, offset_s: float) -> float | None:
    """Seconds after the first sample of a TS or of a PQ of time."""
    if node is None:
        return None
    unit, written = attribute(node, "unit"), attribute(node, "value")
    if unit:
        per, value = seconds_per(unit), number(written)
        return None if per is None or value is None else round(value * float(per) - offset_s, 9)
    at = instant(written)
    return at.seconds_since(start) if at is not None and start is not None else None
