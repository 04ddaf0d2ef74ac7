"""Schiller XML (SEMA, `SchillerEDI`), experimental: from other readers' accounts, without a real file.

Events hold `wavedata` of a type, with one resolution and a `channel` a lead: numbers between commas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from exchangeai.errors import EmptyFile, InvalidHeader
from exchangeai.formats._number_text import numbers_in
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import age_between, date_of, identifier_of, model_of, sex_of, year_of
from exchangeai.formats._stated import Quantity, quantity_of, rate_of
from exchangeai.formats._stored_length import shortfall
from exchangeai.formats._xml import parse_xml, root_name
from exchangeai.formats._xml_fields import number_of, text_of
from exchangeai.leads import canonical_lead
from exchangeai.recording import MILLIVOLT, Identifiers, Lead, Patient, Recording, Series

RANK = 22
EXPERIMENTAL = "files of this device are read experimentally: check the result"

_MAX_LEADS = 64
_MAX_GROUPS = 256
_RHYTHM = re.compile(r"ECG_?RHYTHMS?", re.IGNORECASE)
_MEDIAN = re.compile(r"ECG_?AVERAGES?", re.IGNORECASE)


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is XML with the root `com.xiriuz.sema.xml.schillerEDI.SchillerEDI`."""
    if len(files) != 1:
        return False
    return (root_name(next(iter(files.values()))) or "").casefold().endswith("schilleredi")


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """One recording: the first rhythm; further rhythms and the averages beside it.

    Raises EmptyFile without a rhythm, MissingMetadata, Truncated and InvalidHeader.
    """
    root = parse_xml(next(iter(files.values())))
    warnings = [EXPERIMENTAL]
    rhythms: list[tuple[Lead, ...]] = []
    medians: list[tuple[Lead, ...]] = []
    for node in root.findall("eventdata/event/wavedata")[:_MAX_GROUPS]:
        kind = text_of(node, "type")
        if _RHYTHM.fullmatch(kind):
            rhythms.append(_leads(node, options, warnings))
        elif _MEDIAN.fullmatch(kind):
            medians.append(_leads(node, options, warnings))
        else:
            warnings.append("the file holds waveforms of a type that is not known; they are left out")
    rhythms = [x for x in rhythms if x]
    if not rhythms:
        raise EmptyFile("the file holds no rhythm (ECG_RHYTHMS); export it with its waveforms")
    person, exam = root.find("patdata"), root.find("examdescript")
    acquired = date_of(text_of(exam, "startdatetime/date"))
    recording = Recording(
        format="schiller",
        leads=rhythms[0],
        patient=Patient(
            sex=sex_of(text_of(person, "gender")),
            age_years=age_between(date_of(text_of(person, "birthdate")), acquired),
        ),
        acquisition_year=year_of(acquired),
        device_model=model_of(text_of(exam, "aquiringdevice/hardware/model")),
        other_series=(
            *(Series(kind="rhythm", leads=x) for x in rhythms[1:]),
            *(Series(kind="median", leads=x) for x in medians if x),
        ),
        device_measurements=_measurements(root),
        warnings=tuple(warnings),
    )
    identifier = identifier_of(text_of(person, "id"))
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=identifier))]


def _leads(node: Any, options: ReadOptions, warnings: list[str]) -> tuple[Lead, ...]:
    channels = node.findall("channel")
    if len(channels) > _MAX_LEADS:
        raise InvalidHeader(f"the file holds {len(channels)} channels at once; at most {_MAX_LEADS} are read")
    rate_hz = _rate(node, options)
    per_count, unit = _quantity(node, options)
    leads: list[Lead] = []
    counts: list[tuple[int, int]] = []
    for channel in channels:
        kind = text_of(channel, "datastype")
        if kind.upper() not in ("", "COMMASEPARATE"):
            raise InvalidHeader(
                "the samples are not numbers between commas, which alone is known; export them so"
            )
        numbers = numbers_in(channel.findtext("data"))
        counts.append((numbers.size, int(number_of(channel, "samplecount") or 0)))
        with np.errstate(over="ignore", invalid="ignore"):
            samples = np.multiply(numbers, per_count, dtype=np.float64).astype(np.float32)
        name = canonical_lead(text_of(channel, "name")[:64]) or f"channel {len(leads) + 1}"
        leads.append(Lead(name=name, samples=samples, sampling_rate_hz=rate_hz, unit=unit))
    warnings += shortfall(counts, strict=options.strict)
    return tuple(leads)


def _rate(node: Any, options: ReadOptions) -> float:
    rate_hz = number_of(node, "resolution/samplerate/value") or number_of(node, "resolution/samplerate")
    exponent = number_of(node, "resolution/samplerate/exponent")
    # Only 1 has been seen, with a value in hertz: what others mean is not published.
    return rate_of(options, rate_hz if exponent in (None, 1.0) else None)


def _quantity(node: Any, options: ReadOptions) -> Quantity:
    per_bit, unit = number_of(node, "resolution/yres/unitperbit"), text_of(node, "resolution/yres/units")
    if per_bit is None:
        return quantity_of(options, "")
    if per_bit == 0:
        raise InvalidHeader("the file says that one count is 0; export it again")
    scale, kept = quantity_of(options, unit)
    if kept != MILLIVOLT:
        raise InvalidHeader("the amplitude is in a unit that is no voltage; export the file again")
    return scale * per_bit, kept


def _measurements(root: Any) -> dict[str, float]:
    """The heart rate; names of other measurements are not published."""
    for node in root.iterfind("eventdata/event/annotation_global"):
        for name, value in zip(node.iterfind("name"), node.iterfind("value"), strict=False):
            rate = number_of(value, ".") if (name.text or "").strip().upper() == "HR" else None
            if rate:
                return {"ventricular_rate": rate}
    return {}
