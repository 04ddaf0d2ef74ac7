"""What a DICOM waveform object says of its signal: measurements, statements and marks (PS3.3 C.10.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from exchangeai.formats._dicom_elements import integers, items, number, numbers, text
from exchangeai.formats._dicom_walk import Item
from exchangeai.recording import Annotation, Lead

_CODES = {
    ("SCPECG", "5.10.2.1-3"): "rr_ms", ("SCPECG", "5.10.2.1-5"): "pp_ms",
    ("SCPECG", "5.10.2.5-1"): "ventricular_rate", ("SCPECG", "5.10.2.5-3"): "atrial_rate",
    ("SCPECG", "5.10.2.5-5"): "qtc_ms", ("SCPECG", "5.13.5-7"): "pr_ms", ("SCPECG", "5.13.5-9"): "qrs_ms",
    ("SCPECG", "5.13.5-11"): "qt_ms", ("SCPECG", "5.10.3-11"): "p_axis_deg",
    ("SCPECG", "5.10.3-13"): "qrs_axis_deg", ("SCPECG", "5.10.3-15"): "t_axis_deg",
    ("MDC", "2:15872"): "pr_ms", ("MDC", "2:15876"): "qtc_ms", ("MDC", "2:15880"): "qtc_bazett_ms",
    ("MDC", "2:15892"): "qtc_fridericia_ms", ("MDC", "2:16000"): "rr_ms", ("MDC", "2:16128"): "p_axis_deg",
    ("MDC", "2:16132"): "qrs_axis_deg", ("MDC", "2:16136"): "t_axis_deg", ("MDC", "2:16140"): "pp_ms",
    ("MDC", "2:16156"): "qrs_ms", ("MDC", "2:16160"): "qt_ms", ("MDC", "2:16168"): "rr_ms",
    ("MDC", "2:16184"): "p_ms",
}  # fmt: skip
"""PS3.16 CID 3227, 3228, 3229 and their older SCPECG spellings."""
_MEANINGS = {
    "rr interval": "rr_ms", "rr interval global": "rr_ms", "pp interval": "pp_ms", "pr interval": "pr_ms",
    "pr interval global": "pr_ms", "p duration": "p_ms", "qrs duration": "qrs_ms", "qt interval": "qt_ms",
    "qtc interval": "qtc_ms", "qtc bazett": "qtc_bazett_ms", "qtc fridericia": "qtc_fridericia_ms",
    "p axis": "p_axis_deg", "qrs axis": "qrs_axis_deg", "t axis": "t_axis_deg",
    "heart rate": "ventricular_rate", "ventricular heart rate": "ventricular_rate",
    "ventricular rate": "ventricular_rate", "atrial heart rate": "atrial_rate", "atrial rate": "atrial_rate",
}  # fmt: skip
_SEGMENTS = frozenset({"SEGMENT", "MULTISEGMENT"})


@dataclass(frozen=True, kw_only=True)
class Said:
    """All annotations of an object, told apart."""

    measurements: dict[str, float] = field(default_factory=dict[str, float])
    statements: tuple[str, ...] = ()
    marks: tuple[Annotation, ...] = ()
    warnings: tuple[str, ...] = ()


def said_of(annotations: Sequence[Item], leads: Sequence[Lead], group: int) -> Said:
    """Annotations of the waveform; marks only of the group (from 1) whose leads are given."""
    measurements: dict[str, float] = {}
    statements: list[str] = []
    marks: list[Annotation] = []
    elsewhere = 0
    for item in annotations:
        concept, value = _code(item, "ConceptNameCodeSequence"), _code(item, "ConceptCodeSequence")
        free = " ".join(text(item, "UnformattedTextValue").split())
        numeric = number(item, "NumericValue")
        label = free or value[2] or concept[2]
        if text(item, "TemporalRangeType"):
            if integers(item, "ReferencedWaveformChannels", "H")[:1] not in ([], [group]):
                elsewhere += 1
            elif label:
                marks.extend(_marks(item, label, concept[2], numeric, leads))
        elif numeric is not None:
            _measure(measurements, concept, numeric, _code(item, "MeasurementUnitsCodeSequence")[1])
        elif free or value[2]:
            statements.append(free or value[2])
    warnings = (
        (f"{elsewhere} annotations of other groups than the rhythm were left out",) if elsewhere else ()
    )
    marks.sort(key=lambda x: x.onset_s)
    return Said(
        measurements=measurements, statements=tuple(statements), marks=tuple(marks), warnings=warnings
    )


def _marks(
    item: Item, label: str, concept: str, numeric: float | None, leads: Sequence[Lead]
) -> list[Annotation]:
    """Positions count from 1 in the samples of the group; time offsets are milliseconds."""
    rate_hz = leads[0].sampling_rate_hz
    times = [(x - 1) / rate_hz for x in integers(item, "ReferencedSamplePositions", "I")]
    times = times or [x / 1000 for x in numbers(item, "ReferencedTimeOffsets")]
    channel = [*integers(item, "ReferencedWaveformChannels", "H"), 0, 0][1]
    lead = leads[channel - 1].name if 0 < channel <= len(leads) else None
    detail = concept if concept != label else "" if numeric is None else f"{numeric:g}"
    if text(item, "TemporalRangeType").upper() in _SEGMENTS and len(times) > 1:
        return [
            Annotation(onset_s=begin, duration_s=max(end - begin, 0.0), label=label, lead=lead, detail=detail)
            for begin, end in zip(times[::2], times[1::2], strict=False)
        ]
    return [Annotation(onset_s=x, label=label, lead=lead, detail=detail) for x in times]


def _measure(found: dict[str, float], concept: tuple[str, str, str], value: float, unit: str) -> None:
    scheme, code, meaning = concept
    name = _CODES.get((scheme, code)) or _MEANINGS.get(" ".join(meaning.casefold().split()))
    # Zero is no interval and no rate: writers put it where they have nothing to say.
    if name is None or (value == 0 and not name.endswith("_deg")):
        return
    found.setdefault(name, value * 1000 if unit == "s" and name.endswith("_ms") else value)


def _code(item: Item, name: str) -> tuple[str, str, str]:
    codes = items(item, name)
    if not codes:
        return "", "", ""
    code = codes[0]
    return text(code, "CodingSchemeDesignator"), text(code, "CodeValue"), text(code, "CodeMeaning")
