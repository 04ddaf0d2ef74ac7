"""GE MUSE XML (`RestingECG`): rhythm and median waveforms, measurements, diagnosis, demographics."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from exchangeai.errors import EmptyFile, Truncated
from exchangeai.formats._muse_waveform import rate_in, waveforms
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import (
    age_between,
    date_of,
    identifier_of,
    model_of,
    sex_of,
    year_of,
)
from exchangeai.formats._xml import parse_available, root_name
from exchangeai.formats._xml_fields import age_of, fields_of, number, number_of, text_of
from exchangeai.recording import Annotation, Filters, Identifiers, Patient, Recording, Series

RANK = 20

_MEASURED = {
    "VentricularRate": "ventricular_rate", "AtrialRate": "atrial_rate", "PRInterval": "pr_ms",
    "QRSDuration": "qrs_ms", "QTInterval": "qt_ms", "QTCorrected": "qtc_ms",
    "QTcFrederica": "qtc_fridericia_ms", "QTcFramingham": "qtc_framingham_ms", "QTcHodges": "qtc_hodges_ms",
    "QTcBazett": "qtc_bazett_ms", "PAxis": "p_axis_deg", "RAxis": "qrs_axis_deg", "TAxis": "t_axis_deg",
}  # fmt: skip
_POSITIONS = {
    "POnset": "p_onset_ms", "POffset": "p_offset_ms", "QOnset": "qrs_onset_ms", "QOffset": "qrs_offset_ms",
    "TOnset": "t_onset_ms", "TOffset": "t_offset_ms",
}  # fmt: skip
"""Sample numbers in the median, at the rate of `ECGSampleBase`."""
_MONTH_FIRST = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})")


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is XML with the root `RestingECG`."""
    return len(files) == 1 and root_name(next(iter(files.values()))) == "RestingECG"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """One recording: the first rhythm with its derived limb leads; medians and further rhythms beside it.

    What a reader confirmed comes before what the device had found first (`Original...`). Raises EmptyFile
    without a rhythm, MissingMetadata, Truncated and InvalidHeader.
    """
    root, warnings = parse_available(next(iter(files.values())), strict=options.strict)
    cut = bool(warnings)
    found = waveforms(root, options, warnings, cut=cut)
    rhythms = [x for x in found if not x.is_median]
    if cut and not rhythms:
        raise Truncated("the file ends before its rhythm waveform does; send the whole file")
    if not rhythms:
        raise EmptyFile(
            "the file holds no rhythm waveform"
            + (", only a median" if found else "")
            + "; export it from MUSE with its waveforms"
        )
    main = rhythms[0]
    test = root.find("TestDemographics")
    acquired = _date(text_of(test, "AcquisitionDate"))
    recording = Recording(
        format="muse",
        leads=main.leads,
        patient=_patient(root.find("PatientDemographics"), acquired),
        acquisition_year=year_of(acquired),
        device_model=model_of(text_of(test, "AcquisitionDevice")),
        filters=_filters(main.node),
        other_series=(
            *(Series(kind="rhythm", leads=x.leads) for x in rhythms[1:]),
            *(Series(kind="median", leads=x.leads) for x in found if x.is_median),
        ),
        annotations=_beats(root),
        device_measurements=_measurements(root),
        device_statements=_statements(root),
        warnings=tuple(warnings),
    )
    identifier = identifier_of(text_of(root.find("PatientDemographics"), "PatientID"))
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=identifier))]


def _patient(person: Any, acquired: datetime.date | None) -> Patient:
    years = age_of(number_of(person, "PatientAge"), text_of(person, "AgeUnits"))
    if years is None:
        years = age_between(_date(text_of(person, "DateofBirth")), acquired)
    return Patient(sex=sex_of(text_of(person, "Gender")), age_years=years)


def _date(written: str) -> datetime.date | None:
    """MUSE writes `MM-DD-YYYY`."""
    parts = _MONTH_FIRST.fullmatch(written)
    if not parts:
        return date_of(written)
    month, day, year = map(int, parts.groups())
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return date_of(written)


def _filters(waveform: Any) -> Filters:
    highpass = number_of(waveform, "HighPassFilter")
    return Filters(
        # In hundredths of a hertz.
        highpass_hz=highpass / 100 if highpass else None,
        lowpass_hz=number_of(waveform, "LowPassFilter") or None,
        notch_hz=number_of(waveform, "ACFilter") or None,
    )


def _measurements(root: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("RestingECGMeasurements", "OriginalRestingECGMeasurements"):
        node = root.find(name)
        if node is None:
            continue
        written = fields_of(node)
        for tag, key in _MEASURED.items():
            value = number(written.get(tag, ""))
            if value is not None:
                found.setdefault(key, value)
        rate_hz = rate_in(node, "ECGSampleBase", "ECGSampleExponent")
        for tag, key in _POSITIONS.items() if rate_hz else ():
            value = number(written.get(tag, ""))
            if value is not None and rate_hz:
                found.setdefault(key, value * 1000 / rate_hz)
    for parent, tag, key in (
        ("QRSTimesTypes", "GlobalRR", "rr_ms"),
        ("PharmaData", "PharmaRRinterval", "rr_ms"),
        ("PharmaData", "PharmaPPinterval", "pp_ms"),
    ):
        value = number_of(root.find(parent), tag)
        if value:
            found.setdefault(key, value)
    return found


def _statements(root: Any) -> tuple[str, ...]:
    """Texts of the confirmed diagnosis, else of the device's own."""
    for name in ("Diagnosis", "OriginalDiagnosis"):
        node = root.find(name)
        texts = (x.text for x in node.iter("StmtText")) if node is not None else ()
        found = tuple(x for x in (" ".join((text or "").split()) for text in texts) if x)
        if found:
            return found
    return ()


def _beats(root: Any) -> tuple[Annotation, ...]:
    """QRS complexes; their times are in ms from the start of the rhythm."""
    found: list[Annotation] = []
    for node in root.iterfind("QRSTimesTypes/QRS"):
        written = fields_of(node)
        at_ms = number(written.get("Time", ""))
        if at_ms is not None:
            kind = written.get("Type", "")
            detail = f"type {kind}" if kind.isdigit() else ""
            found.append(Annotation(onset_s=at_ms / 1000, label="QRS", detail=detail))
    return tuple(sorted(found, key=lambda x: x.onset_s))
