"""EDF, EDF+ and their 24-bit sisters BDF, BDF+: one rate per lead, gaps kept as missing values.

Decoded here and not by a library: none keeps the gaps of discontinuous files, and each fails in untyped
ways on headers that contradict the size of the file.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata
from exchangeai.formats._edf_header import Channel, Header, is_edf, parse_header
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import (
    age_between,
    date_of,
    identifier_of,
    model_of,
    sex_of,
    year_of,
)
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.leads import canonical_lead
from exchangeai.recording import Identifiers, Lead, Patient, Recording

RANK = 10
_MAX_STRETCH = 20
"""A discontinuous file may span at most so many times the samples it holds."""
_ECG_LABEL = re.compile(r"^(ECG|EKG)\b|^[IVXavrlf]+[1-9]?$", re.IGNORECASE)


def sniff(files: Mapping[str, bytes]) -> bool:
    """One file with the fixed fields of EDF or BDF."""
    return len(files) == 1 and is_edf(next(iter(files.values())))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read all channels that are voltages; annotations and other quantities are left out."""
    data = next(iter(files.values()))
    header = parse_header(data)
    body = np.frombuffer(data, np.uint8, header.records * header.record_bytes, header.header_bytes)
    blocks = body.reshape(header.records, header.record_bytes)
    onsets_s = _onsets_s(header, blocks) if header.discontinuous else None
    warnings = list(header.warnings)
    leads: list[Lead] = []
    signals = [x for x in header.channels if not x.is_annotation and x.samples_per_record]
    if not signals:
        raise EmptyFile("the EDF file holds annotations but no signal")
    other, odd = list[int](), list[int]()
    for number, channel in enumerate(signals, 1):
        scale = mv_per(channel.unit)
        if scale is None:
            other.append(number)
            continue
        if not _ECG_LABEL.search(channel.label):
            odd.append(number)
        leads.append(_lead(header, channel, blocks, onsets_s, scale))
    if not leads:
        raise MissingMetadata(
            "no channel of the EDF file has a unit of voltage (V, mV or uV); "
            "write the unit into the signal headers"
        )
    warnings += in_words(other, "not a voltage and left out")
    warnings += in_words(odd, "not labelled as an ECG lead")
    if onsets_s is not None and any(np.isnan(x.samples).any() for x in leads):
        warnings.append("the recording has gaps; they are kept as missing values")
    patient, identifiers = _person(header)
    recording = Recording(
        format="edf",
        leads=tuple(leads),
        patient=patient,
        acquisition_year=year_of(header.date),
        device_model=_device(header),
        warnings=tuple(warnings),
    )
    return [ReadResult(recording=recording, identifiers=identifiers)]


def _lead(
    header: Header,
    channel: Channel,
    blocks: npt.NDArray[np.uint8],
    onsets_s: npt.NDArray[np.float64] | None,
    scale: float,
) -> Lead:
    end = channel.first_byte + channel.samples_per_record * header.sample_bytes
    raw = blocks[:, channel.first_byte : end]
    digital = _integers(raw, header.sample_bytes).astype(np.float64)
    slope = (channel.physical_max - channel.physical_min) / (channel.digital_max - channel.digital_min)
    values = (digital - channel.digital_min) * slope + channel.physical_min
    rate_hz = channel.samples_per_record / header.record_s
    samples = (values * scale).astype(np.float32).reshape(header.records, channel.samples_per_record)
    return Lead(
        name=canonical_lead(channel.label) or "unnamed",
        samples=samples.reshape(-1) if onsets_s is None else _spread(samples, onsets_s, rate_hz),
        sampling_rate_hz=rate_hz,
    )


def _integers(raw: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.int32]:
    if width == 2:
        return np.ascontiguousarray(raw).view("<i2").astype(np.int32)
    parts = raw.reshape(raw.shape[0], -1, 3).astype(np.int32)
    unsigned = parts[..., 0] | parts[..., 1] << 8 | parts[..., 2] << 16
    return unsigned - ((unsigned & 0x800000) << 1)


def _spread(
    samples: npt.NDArray[np.float32], onsets_s: npt.NDArray[np.float64], rate_hz: float
) -> npt.NDArray[np.float32]:
    width = samples.shape[1]
    starts = np.rint((onsets_s - onsets_s[0]) * rate_hz).astype(np.int64)
    out = np.full(int(starts[-1]) + width, np.nan, np.float32)
    for start, block in zip(starts, samples, strict=True):
        out[start : start + width] = block
    return out


def _onsets_s(header: Header, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Start of each data record, from the first time stamp of its first annotation channel."""
    channel = next((x for x in header.channels if x.is_annotation), None)
    if channel is None:
        raise InvalidHeader("the file says it has gaps (EDF+D) but holds no time stamps")
    end = channel.first_byte + channel.samples_per_record * header.sample_bytes
    found: list[float] = []
    for block in blocks[:, channel.first_byte : end]:
        stamp = re.match(rb"([+-]\d+(?:\.\d+)?)\x14\x14", block.tobytes())
        if stamp is None:
            raise InvalidHeader("a data record of the discontinuous EDF file has no time stamp")
        found.append(float(stamp[1]))
    onsets_s = np.asarray(found)
    if (np.diff(onsets_s) < header.record_s * 0.999).any():
        raise InvalidHeader("the data records of the discontinuous EDF file overlap in time")
    if onsets_s[-1] - onsets_s[0] > _MAX_STRETCH * header.records * header.record_s:
        raise InvalidHeader("the discontinuous EDF file consists almost only of gaps; send its parts apart")
    return onsets_s


def _person(header: Header) -> tuple[Patient, Identifiers]:
    words = header.patient.split()
    structured = len(words) >= 3 and words[1].upper() in ("M", "F", "X")
    if not structured:
        return Patient(), Identifiers(patient_id=None if header.plus else identifier_of(header.patient))
    born: datetime.date | None = date_of(words[2])
    code, name = identifier_of(words[0]), identifier_of(" ".join(words[3:4]))
    by_name = f"{name} {words[2]}" if name is not None and born is not None else None
    patient = Patient(sex=sex_of(words[1]), age_years=age_between(born, header.date))
    return patient, Identifiers(patient_id=code or by_name)


def _device(header: Header) -> str | None:
    words = header.recording.split()
    return model_of(words[4]) if header.plus and len(words) > 4 and words[0] == "Startdate" else None
