"""MFER, the medical waveform format of ISO 22077-1; experimental, as no real file was at hand to check."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exchangeai.errors import EmptyFile, InvalidHeader, MissingMetadata
from exchangeai.formats import _mfer_tags as tags
from exchangeai.formats._mfer_facts import MferFacts, facts_in, text_of
from exchangeai.formats._mfer_frames import Frame, Layout, MferChannel, frames_in
from exchangeai.formats._mfer_walk import definitions_in, is_mfer
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._stated import rate_of
from exchangeai.formats._stored_length import shortfall
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.leads import canonical_lead
from exchangeai.recording import MILLIVOLT, Annotation, Identifiers, Lead, Patient, Recording, Series

RANK = 40
_EXPERIMENTAL = "MFER is read experimentally: check the result"
_MAX_GROUPS = 1000


def sniff(files: Mapping[str, bytes]) -> bool:
    """One file with the preamble `MFR `, or with nothing but MFER's definitions up to its samples."""
    return len(files) == 1 and is_mfer(next(iter(files.values())))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read all channels, joined over frames of one description; dominant beats are a series of their own."""
    frames, others = frames_in(definitions_in(next(iter(files.values()))))
    if not frames:
        raise EmptyFile("the MFER file holds no samples")
    facts = facts_in(others)
    warnings = [_EXPERIMENTAL]
    warnings += shortfall([(x.sequences, x.declared) for x in frames], strict=options.strict)
    if any(x.cut_within for x in frames):
        warnings.append("the samples end within a sequence, or go on after the last: those were left out")
    if tags.POINTER in {tag for tag, _, _ in others}:
        warnings.append("the file places its frames in time, which is not read: they follow each other here")
    groups = _groups(frames)
    if len(groups) > _MAX_GROUPS:
        raise InvalidHeader(f"the MFER file describes its channels anew more than {_MAX_GROUPS} times")
    rhythms = [x for x in groups if not x.dominant_beat] or groups
    first, *rest = [_leads(x, facts, options) for x in rhythms]
    medians = [_leads(x, facts, options) for x in groups if x.dominant_beat and x not in rhythms]
    warnings += _odd_channels(rhythms[0].channels)
    series = [Series(kind="rhythm", leads=x) for x in rest] + [
        Series(kind="median", leads=x) for x in medians
    ]
    recording = Recording(
        format="mfer",
        leads=first,
        patient=Patient(sex=facts.sex, age_years=facts.age_years),
        acquisition_year=facts.year,
        device_model=facts.device_model,
        filters=facts.filters,
        other_series=tuple(series),
        annotations=tuple(_events(facts, first)),
        warnings=tuple(warnings),
    )
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=facts.patient_id))]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Group:
    """Frames that follow each other with the same channels."""

    channels: tuple[MferChannel, ...]
    frames: Sequence[Frame]

    @property
    def dominant_beat(self) -> bool:
        return self.channels[0].waveform == tags.DOMINANT_BEAT


def _groups(frames: Sequence[Frame]) -> list[_Group]:
    found: dict[tuple[object, ...], list[Frame]] = {}
    of_layout: dict[int, list[Frame]] = {}
    for frame in frames:
        if id(frame.layout) not in of_layout:
            of_layout[id(frame.layout)] = found.setdefault(_description(frame.layout), [])
        of_layout[id(frame.layout)].append(frame)
    return [_Group(channels=x[0].layout.channels, frames=x) for x in found.values()]


def _description(layout: Layout) -> tuple[object, ...]:
    """Equal for frames that can be joined: how many samples they hold tells nothing of their channels."""
    return tuple(
        (x.kind, x.waveform, x.lead_code, x.lead_text, x.interval, x.resolution, x.offset, x.null)
        for x in layout.channels
    )


def _leads(group: _Group, facts: MferFacts, options: ReadOptions) -> tuple[Lead, ...]:
    leads: list[Lead] = []
    for i, channel in enumerate(group.channels):
        if channel.status:
            continue
        scale, unit = _scale(channel, options)
        stored = np.concatenate([x.samples(i) for x in group.frames]).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            samples = ((stored + channel.offset) * scale).astype(np.float32)
        if channel.null is not None:
            samples[stored == channel.null] = np.nan
        text = text_of(channel.lead_text, facts.codec)
        name = tags.LEADS.get(channel.lead_code or 0) or canonical_lead(text) or f"channel {i + 1}"
        rate_hz = rate_of(options, _rate_hz(channel), " (the standard's default is 1000)")
        leads.append(Lead(name=name, samples=samples, sampling_rate_hz=rate_hz, unit=unit))
    if not leads:
        raise EmptyFile("the MFER file holds flags but no signal")
    return tuple(leads)


def _rate_hz(channel: MferChannel) -> float | None:
    if channel.interval is None:
        return None
    unit, exponent, mantissa = channel.interval
    if unit not in (tags.HERTZ, tags.SECONDS) or mantissa <= 0:
        raise InvalidHeader("the MFER file states no sampling rate but another interval")
    # By the power of ten that keeps whole numbers whole: 2 ms are 1000 / 2 Hz.
    rate_hz = _times_ten(mantissa, exponent) if unit == tags.HERTZ else _times_ten(1, -exponent) / mantissa
    return rate_hz if math.isfinite(rate_hz) else None


def _scale(channel: MferChannel, options: ReadOptions) -> tuple[float, str]:
    if channel.resolution is None or channel.resolution[2] == 0:
        stated = mv_per(options.unit) if options.unit else None
        if stated is None:
            raise MissingMetadata(
                "the MFER file states no amplitude resolution; state `unit` (V, mV or uV) with the upload"
            )
        return stated * options.unit_multiple, MILLIVOLT
    unit, exponent, mantissa = channel.resolution
    if unit == tags.VOLT:
        return _times_ten(mantissa, exponent + 3), MILLIVOLT
    return _times_ten(mantissa, exponent), tags.UNITS.get(unit, "")


def _times_ten(mantissa: int, exponent: int) -> float:
    return mantissa * 10.0**exponent if exponent >= 0 else mantissa / 10.0**-exponent


def _odd_channels(channels: Sequence[MferChannel]) -> list[str]:
    numbered = list(enumerate(channels, 1))
    return [
        *in_words([i for i, x in numbered if x.status], "flags, no signal; left out"),
        *in_words(
            [i for i, x in numbered if x.offset], "an offset is stated and was added: check the zero line"
        ),
        *in_words(
            [i for i, x in numbered if x.resolution and x.resolution[0] != tags.VOLT and not x.status],
            "not a voltage; kept in its own unit",
        ),
    ]


def _events(facts: MferFacts, leads: Sequence[Lead]) -> list[Annotation]:
    rate_hz = leads[0].sampling_rate_hz
    return sorted(
        (
            Annotation(
                onset_s=x.start / rate_hz,
                label=x.text or f"event {x.code}",
                duration_s=x.samples / rate_hz if x.samples else None,
            )
            for x in facts.events
        ),
        key=lambda x: x.onset_s,
    )
