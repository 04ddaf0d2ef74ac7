"""Samples of one DICOM multiplex group: PS3.3 C.10.9, value = raw * sensitivity * correction + baseline.

Decoded here and not by pydicom because byte order, padding and unit are stated per file and per channel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats._dicom_elements import integers, items, number, raw_bytes, text
from exchangeai.formats._dicom_leads import is_ecg_channel, lead_name
from exchangeai.formats._dicom_walk import Item
from exchangeai.formats._options import MIN_LENGTH_SHARE, ReadOptions
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._units import mv_per
from exchangeai.leads import STANDARD_12
from exchangeai.recording import MILLIVOLT, Filters, Lead, Series

_DTYPES = {
    ("SS", 16): "i2", ("US", 16): "u2", ("SB", 8): "i1", ("UB", 8): "u1",
    ("SL", 32): "i4", ("UL", 32): "u4",
}  # fmt: skip
_COMPANDED = frozenset({"MB", "AB"})
_SPELLED = {"mm[Hg]": "mmHg", "1": "", "{no units}": "", "NS": ""}


def leads_of_group(group: Item, options: ReadOptions) -> tuple[tuple[Lead, ...], list[str]]:
    """Leads in mV, other quantities in their own unit, and warnings.

    Raises Truncated, InvalidHeader, EmptyFile, and MissingMetadata where an ECG lead states no scale.
    """
    rate_hz = checked_rate(number(group, "SamplingFrequency") or math.nan)
    warnings: list[str] = []
    raw = _raw(group, options, warnings)
    channels = items(group, "ChannelDefinitionSequence")
    if len(channels) != raw.shape[1]:
        raise InvalidHeader("the DICOM file describes another number of channels than it holds")
    padding = _padding(group)
    leads: list[Lead] = []
    for i, channel in enumerate(channels):
        gain, offset, unit = _scale(channel, options)
        samples = np.multiply(raw[:, i], gain, dtype=np.float64)
        if offset:
            samples += offset
        if padding is not None and (padded := raw[:, i] == padding).any():
            if padding == 0:
                # Writers exist that declare 0 and store honest zeros.
                warnings.append("the padding value is 0, which real samples have too; they are kept")
            else:
                samples[padded] = np.nan
                warnings.append("the file marks some samples as padding; they count as missing")
        if number(channel, "ChannelSampleSkew") or number(channel, "ChannelTimeSkew"):
            warnings.append("channels were sampled at slightly different times, which is not corrected")
        leads.append(
            Lead(
                name=lead_name(channel) or f"channel {i + 1}",
                samples=samples.astype(np.float32),
                sampling_rate_hz=rate_hz,
                unit=unit,
            )
        )
    return tuple(leads), warnings


def further_series(group: Item, main: Item, options: ReadOptions) -> tuple[Series, list[str]]:
    """A group beside the rhythm: a median beat when it is called so or derived, else more rhythm."""
    leads, warnings = leads_of_group(group, options)
    if is_median(group):
        return Series(kind="median", leads=leads), warnings
    ahead_ms = (number(group, "MultiplexGroupTimeOffset") or 0.0) - (
        number(main, "MultiplexGroupTimeOffset") or 0.0
    )
    return Series(kind="rhythm", leads=leads, start_s=ahead_ms / 1000), warnings


def is_median(group: Item) -> bool:
    """By its label, or where it has none by being derived."""
    label = text(group, "MultiplexGroupLabel").upper()
    if label:
        return "MEDIAN" in label or "BEAT" in label or "TEMPLATE" in label
    return text(group, "WaveformOriginality").upper() == "DERIVED"


def preference(group: Item) -> tuple[bool, bool, bool, float]:
    """Orders groups: the rhythm of an ECG first, originals before derived ones, then the longest."""
    channels = items(group, "ChannelDefinitionSequence")
    original = text(group, "WaveformOriginality").upper() != "DERIVED"
    rate_hz = number(group, "SamplingFrequency") or math.inf
    return (
        not is_median(group),
        any(is_ecg_channel(x) for x in channels),
        original,
        _count(group, "NumberOfWaveformSamples", "I") / rate_hz,
    )


def filters_of(group: Item) -> Filters:
    """Filters of a group, each only where all channels that state one agree."""
    channels = items(group, "ChannelDefinitionSequence")

    def agreed(name: str) -> float | None:
        stated = {x for channel in channels if (x := number(channel, name))}
        return stated.pop() if len(stated) == 1 else None

    return Filters(
        highpass_hz=agreed("FilterLowFrequency"),
        lowpass_hz=agreed("FilterHighFrequency"),
        notch_hz=agreed("NotchFilterFrequency"),
    )


def _raw(group: Item, options: ReadOptions, warnings: list[str]) -> npt.NDArray[Any]:
    """Stored samples [samples, channels] in the byte order of the file."""
    dtype = _dtype(group)
    channels = _count(group, "NumberOfWaveformChannels", "H")
    samples = _count(group, "NumberOfWaveformSamples", "I")
    data = raw_bytes(group, "WaveformData")
    if channels <= 0 or samples <= 0 or not data:
        raise EmptyFile("the DICOM waveform holds no samples")
    there = len(data) // (channels * dtype.itemsize)
    if there < samples:
        if options.strict or there < MIN_LENGTH_SHARE * samples:
            raise Truncated(
                f"the DICOM header declares {channels} channels of {samples} samples; the data are shorter. "
                "Send the whole file"
            )
        warnings.append(f"the waveform is truncated: {samples} samples are declared and {there} are there")
        samples = there
    return np.frombuffer(data, dtype, channels * samples).reshape(samples, channels)


def _count(group: Item, name: str, kind: str) -> int:
    return next(iter(integers(group, name, kind)), 0)


def _dtype(group: Item) -> np.dtype[Any]:
    kind = text(group, "WaveformSampleInterpretation").upper()
    bits = _count(group, "WaveformBitsAllocated", "H")
    if kind in _COMPANDED:
        raise InvalidHeader(
            "the DICOM waveform is companded (mu-law or A-law), whose scale the file does not state; "
            "export it with linear samples"
        )
    if (kind, bits) not in _DTYPES:
        raise InvalidHeader("the DICOM waveform's sample type is not one of 8, 16 or 32 bit integers")
    return np.dtype(group.source.order + _DTYPES[kind, bits])


def _scale(channel: Item, options: ReadOptions) -> tuple[float, float, str]:
    """Quantity per stored step and at stored zero, and its unit."""
    sensitivity = number(channel, "ChannelSensitivity")
    units = items(channel, "ChannelSensitivityUnitsSequence")
    code = text(units[0], "CodeValue") if units else ""
    if not is_ecg_channel(channel) and (sensitivity is None or not code) and not options.unit:
        if _named_like_ecg(channel):
            raise _no_scale(sensitivity)
        return 1.0 if sensitivity is None else sensitivity, number(channel, "ChannelBaseline") or 0.0, ""
    unit = code or options.unit
    if sensitivity is None or not unit:
        raise _no_scale(sensitivity)
    scale = mv_per(unit)
    correction = number(channel, "ChannelSensitivityCorrectionFactor")
    gain = sensitivity * (1.0 if correction is None else correction) * (scale or 1.0)
    if not math.isfinite(gain) or gain == 0:
        raise InvalidHeader("a channel's sensitivity is zero or not a number, so its voltage is unknown")
    offset = (number(channel, "ChannelBaseline") or 0.0) * (scale or 1.0)
    return gain, offset, MILLIVOLT if scale is not None else _SPELLED.get(unit, unit)


def _named_like_ecg(channel: Item) -> bool:
    """Whether an uncoded channel is named like a standard lead."""
    return lead_name(channel) in STANDARD_12


def _no_scale(sensitivity: float | None) -> MissingMetadata:
    if sensitivity is None:
        return MissingMetadata(
            "a channel of the DICOM waveform does not state its sensitivity (volts per step); "
            "export it again with its sensitivity"
        )
    return MissingMetadata("a channel of the DICOM waveform states no unit; state `unit` with the upload")


def _padding(group: Item) -> int | None:
    value, dtype = raw_bytes(group, "WaveformPaddingValue"), _dtype(group)
    return int(np.frombuffer(value, dtype, 1)[0]) if len(value) >= dtype.itemsize else None
