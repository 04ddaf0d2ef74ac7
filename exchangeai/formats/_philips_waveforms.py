"""Waveforms of Philips XML: parsed or lead by lead, XLI or not, and the representative beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingFile, MissingMetadata
from exchangeai.formats._base64_samples import base64_bytes
from exchangeai.formats._number_text import numbers_in
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._philips_pulse import end_of_ecg
from exchangeai.formats._philips_xli import unpacked, with_limb_leads
from exchangeai.formats._rates import MAX_RATE_HZ
from exchangeai.formats._stated import rate_of, scale_of
from exchangeai.formats._stored_length import shortfall
from exchangeai.formats._xml_fields import number, number_of, text_of
from exchangeai.leads import STANDARD_12, canonical_lead
from exchangeai.recording import Lead, Series

_TYPES = {(8, True): "i1", (16, True): "<i2", (32, True): "<i4", (8, False): "u1", (16, False): "<u2"}
_TWELVE = frozenset({"STD-12", "10-WIRE"})
_MAX_LEADS = 64
_MAX_BEFORE = 600_000
"""Samples, ten minutes at 1 kHz: bounds what a number in a header can allocate."""
_MV_PER_UV = 1e-3
_FILL = 32767
"""In representative beats, behind the end of the beat."""


@dataclass(frozen=True, kw_only=True)
class _Scale:
    rate_hz: float
    mv_per_count: float
    offset: float
    """Counts to subtract."""
    stored: np.dtype[Any]


def rhythm(root: Any, options: ReadOptions, warnings: list[str]) -> tuple[Lead, ...]:
    """The leads of the ECG, in mV, without the calibration pulse at the end.

    Raises EmptyFile without a waveform, MissingFile for one in another file, MissingMetadata, Truncated and
    InvalidHeader.
    """
    signal = root.find("{*}dataacquisition/{*}signalcharacteristics")
    node = root.find("{*}waveforms/{*}parsedwaveforms")
    if node is not None and (node.text or "").strip():
        return _parsed(node, signal, options, warnings)
    node = root.find("{*}waveforms/{*}leadwaveforms")
    if node is not None:
        return _lead_by_lead(node, signal, options, warnings)
    if root.find("{*}waveforms/{*}unparsedwaveforms") is not None:
        raise MissingFile(
            "the waveforms are in another file, which is not followed; export them inside the XML"
        )
    raise EmptyFile("the file holds no waveforms; export it from the device with its waveforms")


def representative_beats(root: Any, warnings: list[str]) -> tuple[Series, ...]:
    """The mean or median beat of each lead; none, with a warning, where they cannot be read."""
    node = root.find("{*}waveforms/{*}repbeats")
    if node is None:
        return ()
    per_count = number(node.get("resolution", ""))
    if (
        node.get("compression")
        or not per_count
        or node.get("dataencoding", "Base64") not in ("Base64", "Plain")
    ):
        warnings.append("the representative beats state no resolution, or a compression; they are left out")
        return ()
    leads: list[Lead] = []
    for beat in node.iterfind("{*}repbeat"):
        # Version 1.03 puts the samples into the element itself, later ones into an element in it.
        held = beat.find("{*}waveform")
        held = beat if held is None else held
        samples = _decoded(held.text, node.get("dataencoding", "Base64"), np.dtype("<i2"), strict=False)
        rate_hz = number(node.get("samplespersec", ""))
        duration_ms = number(held.get("duration", ""))
        if not rate_hz and duration_ms:
            rate_hz = samples.size * 1000 / duration_ms
        if not rate_hz or not 0 < rate_hz <= MAX_RATE_HZ or not samples.size or len(leads) == _MAX_LEADS:
            warnings.append("a representative beat holds no samples or no rate; it is left out")
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (samples * (per_count * _MV_PER_UV)).astype(np.float32)
        fill = samples == _FILL
        if fill.any():
            scaled[fill] = np.nan
            warnings.append("representative beats are filled up with 32767, which counts as missing")
        leads.append(
            Lead(
                name=canonical_lead(beat.get("leadname", "")[:64]) or f"channel {len(leads) + 1}",
                samples=scaled,
                sampling_rate_hz=rate_hz,
            )
        )
    return (Series(kind="median", leads=tuple(leads)),) if leads else ()


def _parsed(node: Any, signal: Any, options: ReadOptions, warnings: list[str]) -> tuple[Lead, ...]:
    scale = _scale(node, signal, options)
    names = _names(node, signal, options)
    duration_ms = number(node.get("durationperchannel", ""))
    declared = round(duration_ms * scale.rate_hz / 1000) if duration_ms and 0 < duration_ms < 1e9 else None
    compression = _compression(node)
    encoding = node.get("dataencoding", "Base64")
    if compression:
        if compression.upper() != "XLI" or encoding != "Base64":
            raise InvalidHeader("the waveforms are compressed in a way that is not known; export them as XLI")
        stored: list[npt.NDArray[Any]] = list(
            unpacked(base64_bytes(node.text, strict=options.strict), declared)
        )
        if any(x.any() for x in _without_pulse(stored[len(names) :], scale)):
            warnings.append("the file holds channels that it does not name; they are left out")
    else:
        every = _decoded(node.text, encoding, scale.stored, strict=options.strict)
        size = every.size // len(names)
        if declared is not None and (every.size % len(names) or size < declared):
            size = declared
        stored = [every[i * size : (i + 1) * size] for i in range(len(names))]
    found = dict(zip(names, stored, strict=False))
    if len(found) < len(names):
        # As short as can be: refused below, or in words here where no length is declared.
        found |= {x: np.empty(0, np.int16) for x in names if x not in found}
        declared = declared or 1
    if compression:
        found = dict(with_limb_leads(found))
    warnings += shortfall(((x.size, declared or x.size) for x in found.values()), strict=options.strict)
    if declared is not None and any(x.size > declared for x in found.values()):
        warnings.append("the leads hold more samples than the file declares; all are kept")
    end = end_of_ecg(list(found.values()), 1 / scale.mv_per_count)
    if end is not None:
        warnings.append("a calibration pulse of 1 mV at the end was cut")
    return tuple(_lead(name, x[:end], scale) for name, x in found.items())


def _lead_by_lead(node: Any, signal: Any, options: ReadOptions, warnings: list[str]) -> tuple[Lead, ...]:
    """Leads that begin where their `starttime` says; what is before that is missing."""
    scale = _scale(node, signal, options)
    if _compression(node):
        raise InvalidHeader(
            "single leads are compressed in a way that is not known; export them uncompressed"
        )
    encoding = node.get("dataencoding", "Base64")
    leads: list[Lead] = []
    counts: list[tuple[int, int]] = []
    for child in list(node.iterfind("{*}leadwaveform"))[:_MAX_LEADS]:
        samples = _decoded(child.text, encoding, scale.stored, strict=options.strict)
        duration_ms = number(child.get("duration", ""))
        counts.append((samples.size, round((duration_ms or 0) * scale.rate_hz / 1000)))
        before = (number(child.get("starttime", "")) or 0.0) * scale.rate_hz / 1000
        if not 0 <= before <= _MAX_BEFORE:
            raise InvalidHeader("a lead begins long after the recording, or before it; export the file again")
        lead = _lead(
            canonical_lead(child.get("leadname", "")[:64]) or f"channel {len(leads) + 1}", samples, scale
        )
        missing = np.full(round(before), np.nan, np.float32)
        leads.append(
            Lead(
                name=lead.name,
                samples=np.concatenate([missing, lead.samples]),
                sampling_rate_hz=lead.sampling_rate_hz,
            )
        )
    warnings += shortfall(counts, strict=options.strict)
    return tuple(leads)


def _lead(name: str, counts: npt.NDArray[Any], scale: _Scale) -> Lead:
    exact = counts if not scale.offset else counts - scale.offset
    with np.errstate(over="ignore", invalid="ignore"):
        samples = np.multiply(exact, scale.mv_per_count, dtype=np.float64).astype(np.float32)
    return Lead(name=name, samples=samples, sampling_rate_hz=scale.rate_hz)


def _without_pulse(stored: Sequence[npt.NDArray[Any]], scale: _Scale) -> list[npt.NDArray[Any]]:
    """Spare channels hold nothing but the pulse."""
    per_mv = 1 / scale.mv_per_count
    return [np.where(np.abs(x - per_mv) <= 1, 0, x) for x in stored]


def _scale(node: Any, signal: Any, options: ReadOptions) -> _Scale:
    """What the waveform states of itself comes before what the acquisition states."""
    rate_hz = number(node.get("samplespersecond", "")) or number_of(signal, "{*}samplingrate")
    per_count = number(node.get("resolution", ""))
    for tag in ("{*}resolution", "{*}signalresolution"):
        per_count = number_of(signal, tag) if per_count is None else per_count
    if per_count is None:
        if options.unit is None:
            raise MissingMetadata(
                "the file does not say how much one count is; state `unit` and `unit_multiple` with the "
                "upload (a guess, not applied: 5 uV)"
            )
        mv_per_count = scale_of(options) * options.unit_multiple
    else:
        mv_per_count = per_count * _MV_PER_UV
    if mv_per_count <= 0:
        raise InvalidHeader("the file says that one count is 0 or less; export it again")
    bits = number(node.get("bitspersample", "")) or number(node.get("nbitspersample", "")) or 16
    signed = (node.get("signalsigned") or text_of(signal, "{*}signalsigned") or "True").casefold() != "false"
    kind = _TYPES.get((int(bits), signed))
    if kind is None:
        raise InvalidHeader("the file declares samples that are not of 8, 16 or 32 bits; export it again")
    offset = number(node.get("signaloffset", ""))
    return _Scale(
        rate_hz=rate_of(options, rate_hz),
        mv_per_count=mv_per_count,
        offset=(number_of(signal, "{*}signaloffset") or 0.0) if offset is None else offset,
        stored=np.dtype(kind),
    )


def _names(node: Any, signal: Any, options: ReadOptions) -> list[str]:
    """Labels of the leads, or the twelve of a standard acquisition. Raises MissingMetadata, InvalidHeader."""
    labels = node.get("leadlabels", "").split()[: int(number(node.get("numberofleads", "")) or _MAX_LEADS)]
    if not labels:
        allocated = int(number_of(signal, "{*}numberchannelsallocated") or len(STANDARD_12))
        kinds = {text_of(signal, "{*}acquisitiontype").upper(), text_of(signal, "{*}leadset").upper()}
        labels = list(STANDARD_12[: max(allocated, 1)]) if kinds & _TWELVE else list(options.leads)
    if not labels:
        raise MissingMetadata(
            "the file does not name its leads; state `leads` in their order with the upload"
        )
    if len(labels) > _MAX_LEADS:
        raise InvalidHeader(f"the file names more than {_MAX_LEADS} leads")
    names = [canonical_lead(x[:64]) for x in labels]
    if len(set(names)) < len(names):
        raise InvalidHeader("the file gives two leads the same name; export it again")
    return names


def _compression(node: Any) -> str:
    """The method, in the words of version 1.03 or of those after it; "" when there is none."""
    if node.get("compressflag", "True").casefold() == "false":
        return ""
    method = node.get("compressmethod") or node.get("compression") or ""
    return "" if method.casefold() in ("none", "uncompressed") else method


def _decoded(text: str | None, encoding: str, stored: np.dtype[Any], *, strict: bool) -> npt.NDArray[Any]:
    if encoding.casefold() == "plain":
        return numbers_in(text)
    if encoding.casefold() != "base64":
        raise InvalidHeader(
            "the samples are neither base64 nor plain numbers; export the file again as base64"
        )
    data = base64_bytes(text, strict=strict)
    return np.frombuffer(data[: len(data) // stored.itemsize * stored.itemsize], stored)
