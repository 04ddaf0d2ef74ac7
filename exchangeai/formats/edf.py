"""EDF, EDF+ and their 24-bit sisters BDF, BDF+: one rate per lead, gaps kept as missing values.

Decoded here and not by a library: none keeps the gaps of discontinuous files, and each fails in untyped
ways on headers that contradict the size of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader
from exchangeai.formats._calibrated import calibrated, integers_24
from exchangeai.formats._edf_header import Channel, Header, is_edf, parse_header
from exchangeai.formats._edf_person import person_of
from exchangeai.formats._edf_times import Stretch, annotations_of, hides_gaps, stretches_of
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import model_of, year_of
from exchangeai.formats._prefilter import agreed, filters_in
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.recording import MILLIVOLT, Lead, Recording, Series

RANK = 10
_MAX_STRETCH, _FEW_SAMPLES, _MANY_SAMPLES = 20, 4_000_000, 50_000_000
"""Gaps are filled when the file then has few samples, or at most so many times those it holds, and when
what fills them is not too many."""
_MAX_SERIES = 1000


def sniff(files: Mapping[str, bytes]) -> bool:
    """One file with the fixed fields of EDF or BDF."""
    return len(files) == 1 and is_edf(next(iter(files.values())))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read all channels, voltages in mV and others in their own unit, and the annotations.

    A channel labelled as an ECG lead that states no unit takes `options.unit` where that is stated.
    """
    data = next(iter(files.values()))
    header = parse_header(data, strict=options.strict)
    body = np.frombuffer(data, np.uint8, header.records * header.record_bytes, header.header_bytes)
    blocks = body.reshape(header.records, header.record_bytes)
    signals = [x for x in header.channels if not x.is_annotation and x.samples_per_record]
    warnings = list(header.warnings)
    annotations, malformed = annotations_of(header, blocks)
    leads = _leads(header, signals, blocks, options)
    series: tuple[Series, ...] = ()
    if header.discontinuous and signals:
        leads, series = _with_gaps(leads, signals, stretches_of(header, blocks), warnings)
    elif signals and hides_gaps(header, blocks):
        warnings.append("the time stamps tell of gaps although the header denies them; the leads show none")
    patient, identifiers = person_of(header.patient, header.date, plus=header.plus)
    recording = Recording(
        format="edf",
        leads=tuple(leads),
        patient=patient,
        acquisition_year=year_of(header.date),
        device_model=_device(header),
        filters=agreed([filters_in(x) for x in {c.prefilter for c in _ecg_channels(signals, leads)}]),
        other_series=series,
        annotations=tuple(annotations),
        warnings=(*warnings, *malformed, *_odd_channels(signals, leads)),
    )
    return [ReadResult(recording=recording, identifiers=identifiers)]


def _leads(
    header: Header, signals: Sequence[Channel], blocks: npt.NDArray[np.uint8], options: ReadOptions
) -> list[Lead]:
    units = [options.unit if options.unit and x.is_ecg and not x.unit else x.unit for x in signals]
    scales = {x: mv_per(x) for x in set(units)}
    rates_hz = {x: header.rate_hz(x) for x in {x.samples_per_record for x in signals}}
    # One piece of memory for all leads: the allocator keeps it for the next file, not so many small ones.
    memory = np.empty(header.records * sum(x.samples_per_record for x in signals), np.float32)
    leads: list[Lead] = []
    # Channels that lie side by side and share size and calibration, as those of an ECG do, are read at once.
    for (width, _, unit), run in groupby(
        zip(signals, units, strict=True), lambda x: (x[0].samples_per_record, x[0].calibration, x[1])
    ):
        channels = [x for x, _ in run]
        for side_by_side in _adjacent(channels, width * header.sample_bytes):
            size = header.records * width * len(side_by_side)
            samples = memory[:size].reshape(len(side_by_side), -1)
            memory = memory[size:]
            _decode(header, side_by_side, blocks, scales[unit], samples)
            leads += [
                Lead(
                    name=channel.name,
                    samples=samples[i],
                    sampling_rate_hz=rates_hz[width],
                    unit=unit if scales[unit] is None else MILLIVOLT,
                )
                for i, channel in enumerate(side_by_side)
            ]
    return leads


def _adjacent(channels: Sequence[Channel], width_bytes: int) -> Iterator[list[Channel]]:
    run: list[Channel] = []
    for channel in channels:
        if run and channel.first_byte != run[-1].first_byte + width_bytes:
            yield run
            run = []
        run.append(channel)
    yield run


def _decode(
    header: Header,
    channels: Sequence[Channel],
    blocks: npt.NDArray[np.uint8],
    scale: float | None,
    samples: npt.NDArray[np.float32],
) -> None:
    """Fill float32 [channel, sample] from channels side by side of one size and calibration."""
    if channels[0].calibration is None:
        samples[:] = np.nan
        return
    slope, offset = channels[0].calibration
    factor = 1.0 if scale is None else scale
    width = channels[0].samples_per_record
    first = channels[0].first_byte
    end = first + len(channels) * width * header.sample_bytes
    if header.sample_bytes == 2:
        digital: npt.NDArray[Any] = blocks.view("<i2")[:, first // 2 : end // 2]
    else:
        digital = integers_24(blocks[:, first:end])
    by_channel = digital.reshape(header.records, len(channels), width).transpose(1, 0, 2)
    calibrated(by_channel, slope * factor, offset * factor, samples.reshape(by_channel.shape))


def _with_gaps(
    leads: Sequence[Lead], channels: Sequence[Channel], stretches: Sequence[Stretch], warnings: list[str]
) -> tuple[list[Lead], tuple[Series, ...]]:
    """Leads with their gaps as missing values, or apart as series where there is hardly anything but gaps."""
    if len(stretches) == 1:
        return list(leads), ()
    warnings.append("the recording has gaps; they are kept as missing values")
    held = sum(x.samples.size for x in leads)
    filled = sum(_size(x, c, stretches[-1]) for x, c in zip(leads, channels, strict=True))
    if filled <= max(min(_MAX_STRETCH * held, held + _MANY_SAMPLES), _FEW_SAMPLES):
        return [_spread(x, c, stretches) for x, c in zip(leads, channels, strict=True)], ()
    if len(stretches) > _MAX_SERIES:
        raise InvalidHeader("the discontinuous EDF file consists almost only of gaps; send its parts apart")
    warnings[-1] = "the recording is mostly gaps; what follows the first gap is kept as further series"
    first, *others = ([_part(x, c, at) for x, c in zip(leads, channels, strict=True)] for at in stretches)
    return first, tuple(
        Series(kind="rhythm", leads=tuple(part), start_s=at.start_s)
        for part, at in zip(others, stretches[1:], strict=True)
    )


def _size(lead: Lead, channel: Channel, last: Stretch) -> int:
    return round(last.start_s * lead.sampling_rate_hz) + last.count * channel.samples_per_record


def _spread(lead: Lead, channel: Channel, stretches: Sequence[Stretch]) -> Lead:
    width = channel.samples_per_record
    before = np.asarray([x.first * width for x in stretches])
    sizes = np.asarray([x.count * width for x in stretches])
    rounded = np.rint(np.asarray([x.start_s for x in stretches]) * lead.sampling_rate_hz).astype(np.int64)
    # How far each stretch moves; never less than the one before: rounding may lay no two over each other.
    moved = np.maximum.accumulate(rounded - before)
    out = np.full(int(before[-1] + moved[-1] + sizes[-1]), np.nan, np.float32)
    for first, size, by in zip(before.tolist(), sizes.tolist(), moved.tolist(), strict=True):
        out[first + by : first + by + size] = lead.samples[first : first + size]
    return Lead(name=lead.name, samples=out, sampling_rate_hz=lead.sampling_rate_hz, unit=lead.unit)


def _part(lead: Lead, channel: Channel, at: Stretch) -> Lead:
    width = channel.samples_per_record
    samples = lead.samples[at.first * width : (at.first + at.count) * width]
    return Lead(name=lead.name, samples=samples, sampling_rate_hz=lead.sampling_rate_hz, unit=lead.unit)


def _ecg_channels(channels: Sequence[Channel], leads: Sequence[Lead]) -> list[Channel]:
    voltages = [c for c, x in zip(channels, leads, strict=True) if x.unit == MILLIVOLT]
    return [x for x in voltages if x.is_ecg] or voltages


def _odd_channels(channels: Sequence[Channel], leads: Sequence[Lead]) -> list[str]:
    numbered = list(enumerate(zip(channels, leads, strict=True), 1))
    return [
        *in_words([i for i, (c, x) in numbered if x.unit == MILLIVOLT and not c.is_ecg], _NO_ECG),
        *in_words([i for i, (_, x) in numbered if x.unit not in ("", MILLIVOLT)], _NO_VOLTAGE),
        *in_words([i for i, (_, x) in numbered if not x.unit], _NO_UNIT),
    ]


_NO_ECG = "not labelled as an ECG lead"
_NO_VOLTAGE = "not a voltage; kept in its own unit"
_NO_UNIT = "no unit is stated; kept as it is (state `unit` if it is an ECG lead)"


def _device(header: Header) -> str | None:
    words = header.recording.split()
    return model_of(words[4]) if header.plus and len(words) > 4 and words[0] == "Startdate" else None
