"""GDF, the general data format for biosignals, versions 1.x and 2.x (Schloegl, arXiv cs/0608052)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader
from exchangeai.formats._calibrated import calibrated, integers_24
from exchangeai.formats._edf_person import person_of
from exchangeai.formats._gdf_events import events_of
from exchangeai.formats._gdf_header import GdfChannel, GdfHeader, gdf_version, parse_gdf_header
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import age_between, year_of
from exchangeai.formats._prefilter import agreed
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.leads import STANDARD_12, canonical_lead
from exchangeai.recording import MILLIVOLT, Identifiers, Lead, Patient, Recording

RANK = 10


def sniff(files: Mapping[str, bytes]) -> bool:
    """One file that opens with `GDF 1.` or `GDF 2.`."""
    return len(files) == 1 and gdf_version(next(iter(files.values()))) is not None


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read all evenly sampled channels and the events.

    Samples beyond the stated digital range were saturated by the amplifier and count as missing.
    """
    data = next(iter(files.values()))
    header = parse_gdf_header(data, strict=options.strict)
    signals = [x for x in header.channels if x.samples_per_record]
    if not signals:
        raise EmptyFile("the GDF file holds no evenly sampled channel")
    unknown = [i for i, x in enumerate(signals, 1) if _calibration(x) is None]
    if unknown and (options.strict or len(unknown) == len(signals)):
        raise InvalidHeader("a signal of the GDF header has an empty range, so its values are unknown")
    warnings = [*header.warnings, *in_words(unknown, _NO_RANGE)]
    leads: list[Lead] = []
    saturated: list[int] = []
    for number, channel in enumerate(signals, 1):
        lead, cut = _lead(header, channel, data, options)
        leads.append(lead)
        saturated += [number] * cut
    warnings += in_words(saturated, "samples beyond the stated range were saturated and count as missing")
    if len(signals) < len(header.channels):
        warnings.append("sparsely sampled channels were left out")
    numbered = list(enumerate(leads, 1))
    warnings += in_words([i for i, x in numbered if x.unit not in ("", MILLIVOLT)], "not a voltage")
    warnings += in_words(
        [i for i, x in numbered if not x.unit],
        "no unit is stated; kept as it is (state `unit` if it is an ECG lead)",
    )
    names = {i: canonical_lead(x.label) for i, x in enumerate(header.channels, 1)}
    events, odd = events_of(data, header, max(x.sampling_rate_hz for x in leads), names)
    patient, identifiers = _person(header)
    recording = Recording(
        format="gdf",
        leads=tuple(leads),
        patient=patient,
        acquisition_year=year_of(header.date),
        device_model=header.device_model,
        filters=agreed([x.filters for x in _ecg_channels(signals, leads)]),
        annotations=tuple(events),
        warnings=(*warnings, *odd),
    )
    return [ReadResult(recording=recording, identifiers=identifiers)]


_NO_RANGE = "the header gives an empty range, so the values are unknown and count as missing"


def _calibration(channel: GdfChannel) -> tuple[float, float] | None:
    """(slope, offset), or None where the header gives no finite range."""
    limits = (channel.low, channel.high, channel.digital_low, channel.digital_high)
    if not np.isfinite(limits).all() or channel.low == channel.high:
        return None
    if channel.digital_low == channel.digital_high:
        return None
    slope = (channel.high - channel.low) / (channel.digital_high - channel.digital_low)
    return slope, channel.low - channel.digital_low * slope


def _lead(header: GdfHeader, channel: GdfChannel, data: bytes, options: ReadOptions) -> tuple[Lead, bool]:
    digital = _digital(header, channel, data)
    name = canonical_lead(channel.label)
    unit = channel.unit or (options.unit if name in STANDARD_12 else None) or ""
    scale = mv_per(unit)
    calibration = _calibration(channel)
    cut = False
    if calibration is None:
        samples = np.full(digital.size, np.nan, np.float32)
    else:
        slope, offset = (x * (1.0 if scale is None else scale) for x in calibration)
        samples = calibrated(digital, slope, offset).reshape(-1)
        first, last = sorted((channel.digital_low, channel.digital_high))
        if not (digital.min() >= first and digital.max() <= last):
            outside = ((digital < first) | (digital > last)).reshape(-1)
            samples[outside], cut = np.nan, bool(outside.any())
    lead = Lead(
        name=name or "unnamed",
        samples=samples,
        sampling_rate_hz=channel.samples_per_record / header.record_s,
        unit=unit if scale is None else MILLIVOLT,
    )
    return lead, cut


def _digital(header: GdfHeader, channel: GdfChannel, data: bytes) -> npt.NDArray[Any]:
    """Stored numbers [data record, sample]."""
    shape = (header.records, channel.samples_per_record)
    start = header.header_bytes + channel.first_byte
    if channel.sample_bytes == 3:
        raw = np.ndarray((shape[0], shape[1] * 3), np.uint8, data, start, (header.record_bytes, 1))
        signed = integers_24(raw)
        return signed if channel.type_name == "i24" else signed & 0xFFFFFF
    kind = np.dtype("<u1" if channel.type_name == "S1" else channel.type_name)
    return np.ndarray(shape, kind, data, start, (header.record_bytes, kind.itemsize))


def _ecg_channels(channels: Sequence[GdfChannel], leads: Sequence[Lead]) -> list[GdfChannel]:
    voltages = [(c, x) for c, x in zip(channels, leads, strict=True) if x.unit == MILLIVOLT]
    standard = [c for c, x in voltages if x.name in STANDARD_12]
    return standard or [c for c, _ in voltages]


def _person(header: GdfHeader) -> tuple[Patient, Identifiers]:
    if header.patient_field:
        return person_of(header.patient_field, header.date, plus=False)
    patient = Patient(sex=header.sex, age_years=age_between(header.born, header.date))
    return patient, Identifiers(patient_id=header.patient_id)
