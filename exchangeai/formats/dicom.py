"""DICOM waveforms (12-lead, general and ambulatory ECG): parsed by pydicom, samples decoded here.

Samples are decoded here because their byte order, sensitivity, correction, baseline and unit are stated
per file and per channel: PS3.3 C.10.9, value = raw * sensitivity * correction + baseline.
"""

from __future__ import annotations

import datetime
import io
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata, TooLarge, Truncated
from exchangeai.formats._dicom_leads import lead_name
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import (
    age_between,
    date_of,
    identifier_of,
    model_of,
    pooled_age,
    sex_of,
    year_of,
)
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.recording import Identifiers, Lead, Patient, Recording

RANK = 0
_META_START = 144
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MAX_INFLATED_BYTES = 256 << 20
_DTYPES = {
    ("SS", 16): "i2", ("US", 16): "u2", ("SB", 8): "i1", ("UB", 8): "u1",
    ("SL", 32): "i4", ("UL", 32): "u4",
}  # fmt: skip
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def sniff(files: Mapping[str, bytes]) -> bool:
    """The `DICM` mark behind the preamble; a file without it is not told apart from noise."""
    return len(files) == 1 and next(iter(files.values()))[128:132] == b"DICM"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read the rhythm group of a waveform object; medians and further groups are left out."""
    data = next(iter(files.values()))
    dataset = _parse(data)
    groups: Sequence[Dataset] = dataset.get("WaveformSequence") or ()
    if not groups:
        kind = str(dataset.get("Modality", "") or "none stated")[:16]
        raise InvalidHeader(f"the DICOM file holds no waveform (its modality: {kind}); send the ECG object")
    group = max(groups, key=_preference)
    big_endian = dataset.file_meta.get("TransferSyntaxUID", "") == _BIG_ENDIAN
    leads, warnings = _leads(group, options, ">" if big_endian else "<")
    if len(groups) > 1:
        warnings.append(f"the file holds {len(groups)} groups of waveforms; the rhythm group was read")
    at = _date(dataset, "AcquisitionDateTime", "AcquisitionDate", "ContentDate", "StudyDate")
    recording = Recording(
        format="dicom",
        leads=leads,
        patient=Patient(sex=sex_of(_text(dataset, "PatientSex")), age_years=_age(dataset, at)),
        acquisition_year=year_of(at),
        device_model=model_of(_text(dataset, "ManufacturerModelName")),
        warnings=tuple(warnings),
    )
    return [
        ReadResult(
            recording=recording,
            identifiers=Identifiers(patient_id=identifier_of(_text(dataset, "PatientID"))),
        )
    ]


def _parse(data: bytes) -> Dataset:
    try:
        # The first element of every file is the length of the meta group that names the syntax.
        body = _META_START + int.from_bytes(data[_META_START - 4 : _META_START], "little")
        if _DEFLATED.encode() in data[_META_START:body]:
            _check_inflated(data[body:])
        return pydicom.dcmread(io.BytesIO(data))  # pyright: ignore[reportUnknownMemberType]
    except (InvalidDicomError, EOFError, NotImplementedError, zlib.error) as e:
        raise Truncated(
            f"the DICOM file cannot be parsed to its end ({type(e).__name__}); send the whole file"
        ) from e


def _check_inflated(data: bytes) -> None:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(data, _MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise TooLarge(f"the DICOM file inflates to more than {_MAX_INFLATED_BYTES >> 20} MiB")


def _preference(group: Dataset) -> tuple[bool, bool, float]:
    label = _text(group, "MultiplexGroupLabel").upper()
    original = _text(group, "WaveformOriginality").upper() != "DERIVED"
    rate_hz = _float(group, "SamplingFrequency") or math.inf
    return "MEDIAN" not in label, original, int(group.get("NumberOfWaveformSamples") or 0) / rate_hz


def _leads(group: Dataset, options: ReadOptions, order: str) -> tuple[tuple[Lead, ...], list[str]]:
    rate_hz = checked_rate(_float(group, "SamplingFrequency") or math.nan)
    raw = _raw(group, order)
    channels: Sequence[Dataset] = group.get("ChannelDefinitionSequence") or ()
    if len(channels) != raw.shape[1]:
        raise InvalidHeader("the DICOM file describes another number of channels than it holds")
    padding = _padding(group, order)
    leads: list[Lead] = []
    warnings: list[str] = []
    other: list[int] = []
    for i, channel in enumerate(channels):
        scale = _scale_mv(channel, options)
        if scale is None:
            other.append(i + 1)
            continue
        gain, offset = scale
        samples = raw[:, i].astype(np.float64) * gain + offset
        if padding is not None and (padded := raw[:, i] == padding).any():
            if padding == 0:
                # Writers exist that declare 0 and store honest zeros.
                warnings.append("the padding value is 0, which real samples have too; they are kept")
            else:
                samples[padded] = np.nan
                warnings.append("the file marks some samples as padding; they count as missing")
        leads.append(
            Lead(
                name=lead_name(channel) or f"channel {i + 1}",
                samples=samples.astype(np.float32),
                sampling_rate_hz=rate_hz,
            )
        )
    if not leads:
        raise InvalidHeader("no channel of the DICOM waveform is a voltage; send the ECG object")
    return tuple(leads), [*warnings, *in_words(other, "not a voltage and left out")]


def _raw(group: Dataset, order: str) -> npt.NDArray[Any]:
    """Stored samples [samples, channels] in the byte order of the file."""
    kind, bits = (
        _text(group, "WaveformSampleInterpretation").upper(),
        int(group.get("WaveformBitsAllocated") or 0),
    )
    if (kind, bits) not in _DTYPES:
        raise InvalidHeader("the DICOM waveform's sample type is not one of 8, 16 or 32 bit integers")
    dtype = np.dtype(order + _DTYPES[kind, bits])
    channels = int(group.get("NumberOfWaveformChannels") or 0)
    samples = int(group.get("NumberOfWaveformSamples") or 0)
    data: bytes = group.get("WaveformData") or b""
    if channels <= 0 or samples <= 0 or not data:
        raise EmptyFile("the DICOM waveform holds no samples")
    if channels * samples * dtype.itemsize > len(data):
        raise Truncated(
            f"the DICOM header declares {channels} channels of {samples} samples; the data are shorter. "
            "Send the whole file"
        )
    return np.frombuffer(data, dtype, channels * samples).reshape(samples, channels)


def _scale_mv(channel: Dataset, options: ReadOptions) -> tuple[float, float] | None:
    """Millivolts per stored step and at stored zero; None when the channel is no voltage."""
    sensitivity = _float(channel, "ChannelSensitivity")
    if sensitivity is None:
        raise MissingMetadata(
            "a channel of the DICOM waveform does not state its sensitivity (volts per step)"
        )
    units: Sequence[Dataset] = channel.get("ChannelSensitivityUnitsSequence") or ()
    unit = _text(units[0], "CodeValue") if units else options.unit
    if not unit:
        raise MissingMetadata("a channel of the DICOM waveform states no unit; state `unit` with the upload")
    scale = mv_per(unit)
    if scale is None:
        return None
    correction = _float(channel, "ChannelSensitivityCorrectionFactor")
    gain = sensitivity * (1.0 if correction is None else correction) * scale
    if not math.isfinite(gain) or gain == 0:
        raise InvalidHeader("a channel's sensitivity is zero or not a number, so its voltage is unknown")
    return gain, (_float(channel, "ChannelBaseline") or 0.0) * scale


def _padding(group: Dataset, order: str) -> int | None:
    value = group.get("WaveformPaddingValue")
    if isinstance(value, int):
        return value
    if not isinstance(value, bytes) or not value:
        return None
    dtype = np.dtype(
        order
        + _DTYPES[_text(group, "WaveformSampleInterpretation").upper(), int(group.WaveformBitsAllocated)]
    )
    return int(np.frombuffer(value, dtype, 1)[0]) if len(value) >= dtype.itemsize else None


def _text(dataset: Dataset, name: str) -> str:
    return str(dataset.get(name, "") or "").strip()


def _float(dataset: Dataset, name: str) -> float | None:
    value = dataset.get(name)
    return None if value is None or value == "" else float(value)


def _date(dataset: Dataset, *names: str) -> datetime.date | None:
    return next((x for name in names if (x := date_of(_text(dataset, name)[:8])) is not None), None)


def _age(dataset: Dataset, at: datetime.date | None) -> int | None:
    text = _text(dataset, "PatientAge")
    if len(text) == 4 and text[:3].isdigit() and text[3] in _AGE_UNITS:
        return pooled_age(int(text[:3]) * _AGE_UNITS[text[3]])
    return age_between(_date(dataset, "PatientBirthDate"), at)
