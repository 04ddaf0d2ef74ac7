"""GE CardioSoft XML (`CardiologyXML`): strips, medians, full disclosure, measurements, statements."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from exchangeai.errors import EmptyFile, Truncated
from exchangeai.formats._cardiosoft_strips import Strip, clock_s, strips
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import age_between, identifier_of, model_of, sex_of
from exchangeai.formats._xml import parse_available, root_name
from exchangeai.formats._xml_fields import age_of, number, number_of, text_of
from exchangeai.recording import Annotation, Filters, Identifiers, Patient, Recording, Series

RANK = 20

_MEASURED = {
    "ventricularrate": "ventricular_rate", "atrialrate": "atrial_rate", "rrinterval": "rr_ms",
    "ppinterval": "pp_ms", "pduration": "p_ms", "pqinterval": "pr_ms", "printerval": "pr_ms",
    "qrsduration": "qrs_ms", "qtinterval": "qt_ms", "qtcinterval": "qtc_ms",
    "qtcbazett": "qtc_bazett_ms", "qtcfredericia": "qtc_fridericia_ms", "qtcfridericia": "qtc_fridericia_ms",
    "qtcframingham": "qtc_framingham_ms", "qtchodges": "qtc_hodges_ms",
    "paxis": "p_axis_deg", "raxis": "qrs_axis_deg", "taxis": "t_axis_deg",
    "ponset": "p_onset_ms", "poffset": "p_offset_ms", "qonset": "qrs_onset_ms", "qoffset": "qrs_offset_ms",
    "tonset": "t_onset_ms", "toffset": "t_offset_ms",
}  # fmt: skip
"""By element of `RestingECGMeasurements`, without regard to case."""


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is XML with the root `CardiologyXML`."""
    return len(files) == 1 and root_name(next(iter(files.values()))) == "CardiologyXML"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """One recording: the resting strip, or the full disclosure where there is no strip of its own.

    Further strips and the full disclosure are other series, like the medians. Raises EmptyFile without a
    rhythm, MissingMetadata, Truncated and InvalidHeader.
    """
    root, warnings = parse_available(next(iter(files.values())), strict=options.strict)
    cut = bool(warnings)
    found = strips(root, options, warnings, cut=cut)
    main = _main(found)
    if main is None and cut:
        raise Truncated("the file ends before its strip does; send the whole file")
    if main is None:
        raise EmptyFile(
            "the file holds no strip"
            + (", only a median" if found else "")
            + "; export it with its waveforms"
        )
    others = [x for x in found if x is not main]
    medians = [x for x in others if x.kind == "median"]
    info = root.find("PatientInfo")
    acquired = _date(root.find("ObservationDateTime"))
    recording = Recording(
        format="cardiosoft",
        leads=main.leads,
        patient=_patient(info, acquired),
        acquisition_year=acquired.year if acquired else None,
        device_model=model_of(root.findtext("ClinicalInfo/DeviceInfo/Desc") or ""),
        filters=_filters(root.find("FilterSetting")),
        other_series=(
            *(
                Series(kind="rhythm", leads=x.leads, start_s=_delay_s(main, x))
                for x in others
                if x.kind != "median"
            ),
            *(Series(kind="median", leads=x.leads) for x in medians),
        ),
        annotations=_annotations(main),
        device_measurements=_measurements(root, medians),
        device_statements=_statements(root),
        warnings=tuple(warnings),
    )
    identifier = identifier_of(text_of(info, "PID"))
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=identifier))]


def _main(found: list[Strip]) -> Strip | None:
    """The resting strip; else the full disclosure, which holds the short strips of an exercise test."""
    whole = [x for x in found if x.kind == "strip" and x.node.tag == "StripData"]
    disclosed = [x for x in found if x.kind == "full disclosure"]
    return next((x for x in (*whole, *disclosed, *found) if x.kind != "median"), None)


def _delay_s(main: Strip, later: Strip) -> float | None:
    return None if main.start_s is None or later.start_s is None else later.start_s - main.start_s


def _date(node: Any) -> datetime.date | None:
    year, month, day = (number_of(node, x) for x in ("Year", "Month", "Day"))
    try:
        return datetime.date(int(year or 0), int(month or 0), int(day or 0))
    except (ValueError, OverflowError):
        return None


def _patient(info: Any, acquired: datetime.date | None) -> Patient:
    age = info.find("Age") if info is not None else None
    years = age_of(number_of(info, "Age"), age.get("units") or "") if age is not None else None
    if years is None:
        years = age_between(_date(info.find("BirthDateTime") if info is not None else None), acquired)
    return Patient(sex=sex_of(text_of(info, "Gender")), age_years=years)


def _filters(setting: Any) -> Filters:
    notches = [hz for hz in (50.0, 60.0) if text_of(setting, f"Filter{hz:.0f}Hz").casefold() == "yes"]
    return Filters(
        highpass_hz=number_of(setting, "HighPass") or None,
        lowpass_hz=number_of(setting, "LowPass") or None,
        notch_hz=notches[0] if notches else None,
    )


def _measurements(root: Any, medians: list[Strip]) -> dict[str, float]:
    found: dict[str, float] = {}
    for node in root.iterfind("RestingECGMeasurements/*"):
        key, value = _MEASURED.get(node.tag.casefold()), number((node.text or "").strip())
        if key is None or value is None:
            continue
        units = (node.get("units") or "").casefold()
        if key.endswith("_ms") and units in ("s", "sample", "samples"):
            rate_hz = medians[0].leads[0].sampling_rate_hz if medians else None
            if units != "s" and rate_hz is None:
                continue
            value *= 1000 if units == "s" or rate_hz is None else 1000 / rate_hz
        found.setdefault(key, value)
    return found


def _statements(root: Any) -> tuple[str, ...]:
    """The device's diagnosis, then what the conclusion adds to it; lines that only separate are left out."""
    nodes = root.iterfind("Interpretation/Diagnosis/DiagnosisText")
    texts = [*nodes, *root.iterfind("Interpretation/Conclusion/ConclusionText")]
    lines = (" ".join((x.text or "").split()) for x in texts)
    return tuple(dict.fromkeys(x for x in lines if any(char.isalnum() for char in x)))


def _annotations(main: Strip) -> tuple[Annotation, ...]:
    """Beats of a strip (`Time` in ms and `BeatClass` in turns), or events of the full disclosure."""
    found: list[Annotation] = []
    at_s: float | None = None
    for node in main.node.iterfind("ArrhythmiaResults/*"):
        if node.tag == "Time":
            value = number((node.text or "").strip())
            at_s = None if value is None else value / 1000
        elif node.tag == "BeatClass" and at_s is not None and (label := (node.text or "").strip()):
            found.append(Annotation(onset_s=at_s, label=label))
    label = ""
    for node in main.node.iterfind("EventList/*"):
        if node.tag == "Event":
            label = (node.text or "").strip()
        elif node.tag == "Time" and label and (at := clock_s(node)) is not None:
            found.append(Annotation(onset_s=at - (main.start_s or 0.0), label=label))
    return tuple(sorted(found, key=lambda x: x.onset_s))
