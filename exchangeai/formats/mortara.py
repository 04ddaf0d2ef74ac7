"""Mortara (Welch Allyn) ELI XML, experimental: written from other readers' accounts, without a real file.

The root `ECG` holds a `CHANNEL` a lead, whose attribute `DATA` is base64 of signed 16-bit counts, and one
`TYPICAL_CYCLE` with the medians.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata
from exchangeai.formats._base64_samples import base64_bytes
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import (
    age_between,
    date_of,
    identifier_of,
    model_of,
    sex_of,
    year_of,
)
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._stated import rate_of, scale_of
from exchangeai.formats._stored_length import shortfall
from exchangeai.formats._xml import parse_xml, root_name
from exchangeai.formats._xml_fields import age_of, number
from exchangeai.leads import canonical_lead
from exchangeai.recording import Identifiers, Lead, Patient, Recording, Series

RANK = 22
EXPERIMENTAL = "files of this device are read experimentally: check the result"

_MAX_LEADS = 64
_MARK = "UNITS_PER_MV"
_FORM = {"BITS": "16", "FORMAT": "SIGNED", "ENCODING": "BASE64"}
_AGE_UNITS = {"": "years", "y": "years", "m": "months", "w": "weeks", "d": "days", "h": "hours"}
_ROOT_MEASURED = {"VENT_RATE": "ventricular_rate", "AVERAGE_RR": "rr_ms"}
_CYCLE_MEASURED = {
    "P_DURATION": "p_ms", "PR_DURATION": "pr_ms", "QRS_DURATION": "qrs_ms", "QT": "qt_ms", "QTC": "qtc_ms",
    "QTB": "qtc_bazett_ms", "QTF": "qtc_fridericia_ms",
}  # fmt: skip
_AXES = {"P_AXIS": "p_axis_deg", "QRS_AXIS": "qrs_axis_deg", "T_AXIS": "t_axis_deg"}


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is XML with the root `ECG` that states units per millivolt."""
    if len(files) != 1:
        return False
    data = next(iter(files.values()))
    if root_name(data) != "ECG":
        return False
    return any(_MARK.encode(x) in data for x in ("ascii", "utf-16-le", "utf-16-be"))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """One recording: the channels, with the typical cycle beside them.

    Raises EmptyFile without a channel, MissingMetadata, Truncated and InvalidHeader.
    """
    root = parse_xml(next(iter(files.values())))
    warnings = [EXPERIMENTAL]
    nodes = root.findall("CHANNEL")
    if not nodes:
        raise EmptyFile("the file holds no CHANNEL; export it from the device with its waveforms")
    if len(nodes) > _MAX_LEADS:
        raise InvalidHeader(f"the file holds {len(nodes)} channels; at most {_MAX_LEADS} are read")
    leads = _channels(nodes, options, warnings)
    cycle = root.find("TYPICAL_CYCLE")
    acquired = date_of(root.get("ACQUISITION_TIME_XML") or root.get("ACQUISITION_TIME") or "")
    source = root.find("SOURCE")
    subject = root.find("SUBJECT")
    recording = Recording(
        format="mortara",
        leads=leads,
        patient=_patient(root, subject, acquired),
        acquisition_year=year_of(acquired),
        device_model=model_of(source.get("MODEL", "")) if source is not None else None,
        other_series=_medians(cycle, leads[0].sampling_rate_hz, options, warnings),
        device_measurements=_measurements(root, cycle),
        device_statements=_statements(root),
        warnings=tuple(warnings),
    )
    ids = (subject.get(x, "") for x in ("ID", "LOCAL_ID")) if subject is not None else ()
    identifier = next((x for x in map(identifier_of, ids) if x), None)
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=identifier))]


def _channels(nodes: list[Any], options: ReadOptions, warnings: list[str]) -> tuple[Lead, ...]:
    leads: list[Lead] = []
    counts: list[tuple[int, int]] = []
    for i, node in enumerate(nodes):
        counted = _counts(node, node, options)
        rate_hz = rate_of(options, number(node.get("SAMPLE_FREQ", "")))
        declared = number(node.get("DURATION", "")) or 0
        if round(counted.size * 1000 / rate_hz) != declared:
            # Samples; some exports write milliseconds.
            counts.append((counted.size, int(declared)))
        if number(node.get("OFFSET", "")):
            _odd_offset(options, warnings)
        samples = (counted / _units_per_mv(node, options)).astype(np.float32)
        name = canonical_lead(node.get("NAME", "")[:64]) or f"channel {i + 1}"
        leads.append(Lead(name=name, samples=samples, sampling_rate_hz=rate_hz))
    warnings += shortfall(counts, strict=options.strict)
    return tuple(leads)


def _medians(cycle: Any, rate_hz: float, options: ReadOptions, warnings: list[str]) -> tuple[Series, ...]:
    """The typical cycle; where it states no rate it has that of the channels."""
    if cycle is None:
        return ()
    nodes: list[Any] = cycle.findall("TYPICAL_CYCLE_CHANNEL")[:_MAX_LEADS]
    if not nodes:
        return ()
    if number(cycle.get(_MARK, "")) is None:
        warnings.append("the typical cycle does not say how much one count is; it is left out")
        return ()
    stated_hz = number(cycle.get("SAMPLE_FREQ", ""))
    if stated_hz is None:
        warnings.append("the typical cycle states no rate; it is taken to have that of the channels")
    per_mv = _units_per_mv(cycle, options)
    leads = tuple(
        Lead(
            name=canonical_lead(x.get("NAME", "")[:64]) or f"channel {i + 1}",
            samples=(_counts(x, cycle, options) / per_mv).astype(np.float32),
            sampling_rate_hz=checked_rate(stated_hz or rate_hz),
        )
        for i, x in enumerate(nodes)
    )
    return (Series(kind="median", leads=leads),)


def _counts(node: Any, form: Any, options: ReadOptions) -> npt.NDArray[np.int16]:
    """Samples of an element; `form` is the one that states their form."""
    stated = [form.get(x, usual).strip().upper() for x, usual in _FORM.items()]
    if stated != list(_FORM.values()):
        raise InvalidHeader(
            "the samples of a channel are not base64 of signed 16-bit numbers, which alone is known; "
            "export the file again"
        )
    data = base64_bytes(node.get("DATA"), strict=options.strict)
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2")


def _units_per_mv(node: Any, options: ReadOptions) -> float:
    per_mv = number(node.get(_MARK, ""))
    if per_mv is None:
        if options.unit is None:
            raise MissingMetadata(
                "a channel does not say how much one count is; state `unit` and `unit_multiple` with "
                "the upload"
            )
        per_mv = 1 / (scale_of(options) * options.unit_multiple)
    if per_mv < 1e-6:
        raise InvalidHeader("a channel says that a millivolt is 0 counts or less; export the file again")
    return per_mv


def _odd_offset(options: ReadOptions, warnings: list[str]) -> None:
    text = "a channel states an OFFSET, the meaning of which is not published"
    if options.strict:
        raise InvalidHeader(f"{text}; read the file without `strict` to leave it out")
    if f"{text}; it was not applied" not in warnings:
        warnings.append(f"{text}; it was not applied")


def _patient(root: Any, subject: Any, acquired: datetime.date | None) -> Patient:
    unit: str = root.get("AGE_UNITS", "").strip().casefold()
    years = age_of(number(root.get("AGE", "")), _AGE_UNITS.get(unit, unit))
    if subject is None:
        return Patient(age_years=years)
    if years is None:
        years = age_between(date_of(subject.get("DOB_XML") or subject.get("DOB") or ""), acquired)
    return Patient(sex=sex_of(subject.get("GENDER", "")), age_years=years)


def _measurements(root: Any, cycle: Any) -> dict[str, float]:
    """Rates and intervals above 0, which stands for none; wave boundaries have no published unit."""
    found: dict[str, float] = {}
    parts: list[tuple[Any, dict[str, str]]] = [(root, _ROOT_MEASURED)]
    if cycle is not None:
        parts += [(cycle, _CYCLE_MEASURED), (cycle, _AXES)]
    for node, tags in parts:
        for tag, key in tags.items():
            value = number(node.get(tag, ""))
            if value is not None and (value > 0 or tags is _AXES):
                found[key] = value
    return found


def _statements(root: Any) -> tuple[str, ...]:
    found: list[str] = []
    for node in root.iterfind("AUTOMATIC_INTERPRETATION/STATEMENT"):
        found += [" ".join(x.split()) for x in (node.get("TEXT") or node.text or "", node.get("REASON", ""))]
    return tuple(x for x in found if x)
