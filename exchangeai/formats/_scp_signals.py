"""Samples of SCP-ECG: leads, reference beat and rhythm (sections 2 to 6; EN 1064 5.5 to 5.9)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, Truncated
from exchangeai.formats._options import MIN_LENGTH_SHARE
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._scp_huffman import Table, decode, tables_of
from exchangeai.formats._scp_leads import lead_of_number
from exchangeai.formats._scp_sections import Section
from exchangeai.recording import Lead, Series

_DATA = struct.Struct("<HHBB")
_LEAD = struct.Struct("<IIB")
_BEAT = struct.Struct("<HIII")
_MAX_CELLS = 1 << 25
_NV_PER_MV = 1e6
_BITS_16 = (1 << 16) - 1
_VERSION_3 = 30
Samples = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What sections 2 to 6 hold."""

    leads: tuple[Lead, ...]
    other_series: tuple[Series, ...]
    warnings: tuple[str, ...]


def signals_of(sections: Mapping[int, Section], *, strict: bool) -> Signals:
    """Rhythm and reference beat in mV.

    Raises Truncated when a lead lacks more than half of its samples (any, in strict mode), InvalidHeader for
    contradictions and for decimated ("bimodal") rhythm, EmptyFile without rhythm data.
    """
    if 3 not in sections or 6 not in sections:
        raise EmptyFile("the SCP-ECG file holds no rhythm data; export it with its waveforms")
    tables = tables_of(sections[2].body) if 2 in sections else ()
    defined = _defined_leads(sections[3].body)
    beats = _Beats.of(sections.get(4))
    rhythm = _Data.of(sections[6], 6, len(defined))
    median = _Data.of(sections[5], 5, len(defined)) if 5 in sections else None
    bimodal = rhythm.flag == 1 and sections[6].protocol < _VERSION_3
    if bimodal and (median is None or median.interval_us != rhythm.interval_us):
        raise _BIMODAL
    warnings: list[str] = []
    reference = _reference(median, beats, tables, warnings)
    residual = _rhythm(rhythm, defined, tables)
    if bimodal and any(x.size < lead.samples for x, lead in zip(residual, defined, strict=True)):
        raise _BIMODAL
    _check_lengths(residual, defined, warnings, strict)
    nv = [x * rhythm.nv_per_step for x in residual]
    if sections[3].body[1] & 1:
        _add_beats(nv, defined, beats, reference, median, rhythm, warnings)
    leads = _placed(nv, defined, checked_rate(1e6 / rhythm.interval_us), warnings)
    series: tuple[Series, ...] = ()
    if median is not None and any(x.size for x in reference):
        rate_hz = checked_rate(1e6 / median.interval_us)
        medians = [
            Lead(name=d.name, samples=_mv(x * median.nv_per_step), sampling_rate_hz=rate_hz)
            for d, x in zip(defined, reference, strict=True)
        ]
        series = (Series(kind="median", leads=tuple(medians)),)
    return Signals(leads=leads, other_series=series, warnings=tuple(warnings))


_BIMODAL = InvalidHeader(
    "the rhythm of the SCP-ECG file is decimated between the beats (bimodal compression), which cannot be "
    "restored exactly and is not read; export it without bimodal compression, or in another format"
)


@dataclass(frozen=True, kw_only=True)
class _Defined:
    """One lead of section 3; samples count from 1, in some files from 0."""

    name: str
    first: int
    last: int

    @property
    def samples(self) -> int:
        return self.last - max(self.first, 1) + 1


@dataclass(frozen=True, kw_only=True)
class _Beats:
    """Section 4: where the reference beat was subtracted."""

    length_ms: int
    fiducial: int
    places: tuple[tuple[int, int, int, int], ...]
    """Type of beat, first sample, fiducial point, last sample; from 1."""

    @classmethod
    def of(cls, section: Section | None) -> _Beats | None:
        if section is None or len(section.body) < 6:
            return None
        length_ms, fiducial, count = struct.unpack_from("<HHH", section.body)
        count = min(count, (len(section.body) - 6) // _BEAT.size)
        places = tuple(_BEAT.iter_unpack(section.body[6 : 6 + count * _BEAT.size]))
        return cls(length_ms=length_ms, fiducial=fiducial, places=places)


@dataclass(frozen=True, kw_only=True)
class _Data:
    """Section 5 or 6 before decoding."""

    nv_per_step: int
    interval_us: int
    differences: int
    flag: int
    chunks: tuple[bytes, ...]

    @classmethod
    def of(cls, section: Section, number: int, leads: int) -> _Data:
        body = section.body
        if len(body) < _DATA.size + 2 * leads:
            raise Truncated(f"section {number} of the SCP-ECG file ends before its data; send the whole file")
        nv_per_step, interval_us, differences, flag = _DATA.unpack_from(body)
        if not nv_per_step or not interval_us or differences > 2:
            raise InvalidHeader(
                f"section {number} of the SCP-ECG file states no amplitude per step, no interval or an "
                "unknown encoding; export it again from its source"
            )
        sizes = struct.unpack_from(f"<{leads}H", body, _DATA.size)
        at = _DATA.size + 2 * leads
        if at + sum(sizes) > len(body) + section.missing:
            raise InvalidHeader(
                f"the leads in section {number} of the SCP-ECG file need more bytes than it has; "
                "export it again"
            )
        chunks: list[bytes] = []
        for size in sizes:
            chunks.append(body[at : at + size])
            at += size
        return cls(
            nv_per_step=nv_per_step,
            interval_us=interval_us,
            differences=differences,
            flag=flag,
            chunks=tuple(chunks),
        )


def _defined_leads(body: bytes) -> list[_Defined]:
    count = body[0] if len(body) >= 2 else 0
    if not count or 2 + count * _LEAD.size > len(body):
        raise InvalidHeader("the SCP-ECG file does not define its leads; export it again from its source")
    leads: list[_Defined] = []
    for i in range(count):
        first, last, number = _LEAD.unpack_from(body, 2 + i * _LEAD.size)
        if last < first or last == 0:
            raise InvalidHeader("a lead of the SCP-ECG file ends before it begins; export it again")
        name = lead_of_number(number) or f"channel {i + 1}"
        leads.append(_Defined(name=name, first=first, last=last))
    return leads


def _decoded(chunk: bytes, count: int, differences: int, tables: Sequence[Table]) -> tuple[Samples, int]:
    """At most `count` samples, and how many bits are left over."""
    if tables:
        values, left = decode(chunk, count, tables)
    else:
        values = np.frombuffer(chunk, "<i2", min(count, len(chunk) // 2)).astype(np.int64)
        left = 8 * len(chunk) - 16 * values.size
    if differences == 1:
        values = np.cumsum(values)
    elif differences == 2 and values.size > 2:
        # The first two values are amplitudes, the others x[n] - 2 x[n-1] + x[n-2].
        slope = np.concatenate([values[1:2] - values[:1], values[2:]])
        values = np.concatenate([values[:1], values[:1] + np.cumsum(np.cumsum(slope))])
    # Devices compute in 16 bits and count on differences that wrap around.
    return values.astype(np.int16).astype(np.int64), left


def _reference(
    median: _Data | None, beats: _Beats | None, tables: Sequence[Table], warnings: list[str]
) -> list[Samples]:
    """The reference beat per lead, in steps; empty where there is none or its length is not known."""
    if median is None:
        return []
    if beats is not None and beats.length_ms:
        count = round(beats.length_ms * 1000 / median.interval_us)
    elif not tables:
        count = max(len(x) for x in median.chunks) // 2
    else:
        warnings.append("the length of the reference beat is not stated, so it was left out")
        return []
    found = [_decoded(x, count, median.differences, tables)[0] for x in median.chunks]
    if any(x.size < count for x in found) and any(x.size for x in found):
        warnings.append("the reference beat is shorter than its header says")
    return found


def _rhythm(rhythm: _Data, defined: Sequence[_Defined], tables: Sequence[Table]) -> list[Samples]:
    """The stored rhythm per lead, in steps."""
    counts = [x.samples for x in defined]
    found = [
        _decoded(chunk, count, rhythm.differences, tables)
        for chunk, count in zip(rhythm.chunks, counts, strict=True)
    ]
    # Of files that count from 0 some state the last sample, others the one behind it: the data tell.
    more = 16 if not tables else 8
    if all(x.first == 0 for x in defined) and any(left >= more for _, left in found):
        found = [
            _decoded(chunk, count + 1, rhythm.differences, tables)
            for chunk, count in zip(rhythm.chunks, counts, strict=True)
        ]
    return [x for x, _ in found]


def _check_lengths(
    found: Sequence[Samples], defined: Sequence[_Defined], warnings: list[str], strict: bool
) -> None:
    short = [(x.size, lead.samples) for x, lead in zip(found, defined, strict=True) if x.size < lead.samples]
    if not short:
        return
    if strict or any(there < MIN_LENGTH_SHARE * declared for there, declared in short):
        raise Truncated(
            "the SCP-ECG file holds fewer samples than it declares, or damaged ones; send the whole file"
        )
    there, declared = min(short)
    warnings.append(
        f"{len(short)} leads are truncated: the file declares {declared} samples and holds {there}"
    )


def _add_beats(
    nv: list[Samples],
    defined: Sequence[_Defined],
    beats: _Beats | None,
    reference: Sequence[Samples],
    median: _Data | None,
    rhythm: _Data,
    warnings: list[str],
) -> None:
    """Add the reference beat where it had been subtracted (EN 1064 C.4), in nanovolts."""
    if beats is None or median is None or not reference:
        raise InvalidHeader(
            "the rhythm of the SCP-ECG file is what is left after subtraction of a reference beat, but the "
            "beat or its places are missing; export it again"
        )
    places = [x for x in beats.places if x[0] == 0 and x[1]]
    if not places:
        warnings.append("the file says that a reference beat was subtracted, but at no place")
        return
    if median.interval_us != rhythm.interval_us:
        raise InvalidHeader(
            "the SCP-ECG file subtracts a reference beat of another sampling rate, which is not read; "
            "export it without reference beat subtraction"
        )
    for samples, lead, beat in zip(nv, defined, reference, strict=True):
        origin = max(lead.first, 1)
        for _, first, fiducial, last in places:
            # Sample `fiducial` of the rhythm lies under sample `beats.fiducial` of the beat.
            ahead = fiducial - beats.fiducial
            begin = max(first, origin, ahead + 1)
            end = min(last, origin + samples.size - 1, ahead + beat.size)
            if begin <= end:
                part = beat[begin - ahead - 1 : end - ahead]
                samples[begin - origin : end - origin + 1] += part * median.nv_per_step


def _placed(
    nv: Sequence[Samples], defined: Sequence[_Defined], rate_hz: float, warnings: list[str]
) -> tuple[Lead, ...]:
    """Leads on one axis of time: NaN where leads that were recorded one after the other have no samples."""
    starts = [max(x.first, 1) for x in defined]
    if len(set(starts)) == 1:
        return tuple(
            Lead(name=d.name, samples=_mv(x), sampling_rate_hz=rate_hz)
            for d, x in zip(defined, nv, strict=True)
        )
    origin = min(starts)
    span = max(start - origin + x.size for start, x in zip(starts, nv, strict=True))
    if span * len(nv) > _MAX_CELLS or span > 2 * sum(x.size for x in nv):
        raise InvalidHeader("the leads of the SCP-ECG file lie impossibly far apart; export it again")
    warnings.append(
        "the leads were not recorded at the same time; where a lead has no samples they are missing"
    )
    leads: list[Lead] = []
    for lead, start, x in zip(defined, starts, nv, strict=True):
        samples = np.full(span, np.nan, np.float32)
        samples[start - origin : start - origin + x.size] = _mv(x)
        leads.append(Lead(name=lead.name, samples=samples, sampling_rate_hz=rate_hz))
    return tuple(leads)


def _mv(nv: Samples) -> npt.NDArray[np.float32]:
    return (nv / _NV_PER_MV).astype(np.float32)
