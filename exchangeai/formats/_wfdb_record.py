"""WFDB records: an ordinary one, or a long one put together from its segments.

Multi-segment records: section 5.5 of the WFDB Programmer's Guide, which forbids to nest them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingFile, Truncated
from exchangeai.formats._options import MIN_LENGTH_SHARE
from exchangeai.formats._units import mv_per
from exchangeai.formats._wfdb_header import NULL, Header, Segment, looks_like_header, members_of, parse_header
from exchangeai.formats._wfdb_stretch import Stretch, Track, check_lengths, missing, oddities, read_stretch
from exchangeai.recording import MILLIVOLT

_FREE_SAMPLES = 1 << 25
_SAMPLES_PER_BYTE = 8
"""Gaps and FLAC make more samples than there are bytes: so many of a record, or 2**25 if that is more."""
_MAX_SEGMENTS = 10_000
_MAX_SEGMENT_SIGNALS = 60_000


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that a record's headers and signal files say."""

    header: Header
    tracks: tuple[Track, ...]
    comments: tuple[str, ...]
    warnings: tuple[str, ...]


def read_record(root: str, files: Mapping[str, bytes], *, strict: bool) -> Record:
    """Read the record of a header, which is one of the files.

    Raises UnsafeReference, MissingFile, Truncated, EmptyFile or InvalidHeader.
    """
    header = parse_header(files[root])
    most = max(_FREE_SAMPLES, _SAMPLES_PER_BYTE * sum(len(x) for x in files.values()))
    if strict and header.oddities:
        raise InvalidHeader(f"{header.oddities[0]}; send the files again, or read them without `strict`")
    if header.segments:
        return _Assembly(header=header, files=files, most=most, strict=strict).record()
    if not header.signals:
        return Record(header=header, tracks=(), comments=header.comments, warnings=header.oddities)
    stretch = read_stretch(header, files, most, header.frames)
    check_lengths([stretch])
    return Record(
        header=header,
        tracks=stretch.tracks,
        comments=header.comments,
        warnings=(*header.oddities, *oddities([stretch], strict)),
    )


def root_of(files: Mapping[str, bytes]) -> str:
    """The one header that is no segment of another. Raises InvalidHeader."""
    headers = [x for x, data in files.items() if looks_like_header(data)]
    if len(headers) == 1:
        return headers[0]
    members = {x: members_of(files[x]) or () for x in headers}
    segments = {x for name, found in members.items() for x in found if x != name}
    roots = [x for x in members if x not in segments]
    if len(roots) != 1:
        raise InvalidHeader(
            "the headers of a WFDB record name each other in a circle"
            if not roots
            else "a WFDB record has exactly one header; send each record with its own files"
        )
    return roots[0]


@dataclass(kw_only=True)
class _Slot:
    """Where the samples of one signal of all segments go."""

    unit: str | None = None
    samples_per_frame: int = 1
    samples: npt.NDArray[np.float32] | None = None


@dataclass(kw_only=True)
class _Assembly:
    """Puts segments together; one signal is known by its name, several of a name by their order."""

    header: Header
    files: Mapping[str, bytes]
    most: int
    """Samples that may be made of the record."""
    strict: bool
    allocated: int = 0
    slots: dict[tuple[str, int], _Slot] = field(default_factory=dict[tuple[str, int], _Slot])
    parsed: dict[str, Header] = field(default_factory=dict[str, Header])
    warnings: list[str] = field(default_factory=list[str])

    def record(self) -> Record:
        """Read all segments in order."""
        segments = list(self.header.segments)
        self.warnings += self.header.oddities
        if segments[0].frames == 0 and segments[0].name != NULL:
            self._lay_out(self._ordinary(segments.pop(0)))
        frames = sum(x.frames for x in segments)
        if self.header.frames not in (0, frames):
            self._warn("the lengths of the segments do not add up to that of the record")
        if frames < MIN_LENGTH_SHARE * self.header.frames:
            raise Truncated("the WFDB header describes less than half of the record's length; send it whole")
        if frames == 0:
            raise EmptyFile("the WFDB record holds no samples")
        self._check_count(segments)
        stretches: list[Stretch] = []
        position = 0
        for segment in segments:
            if segment.name != NULL and segment.frames:
                stretches.append(self._segment(segment, self._ordinary(segment)))
                self._place(stretches[-1], position, frames)
            position += segment.frames
        if not stretches:
            raise EmptyFile("the WFDB record holds nothing but gaps")
        check_lengths(stretches)
        for slot in self.slots.values():
            self._allocated(slot, frames)
        return Record(
            header=self.header,
            tracks=tuple(
                Track(
                    name=name,
                    unit=MILLIVOLT if slot.unit is None else slot.unit,
                    samples_per_frame=slot.samples_per_frame,
                    samples=self._allocated(slot, frames),
                )
                for (name, _), slot in self.slots.items()
            ),
            comments=self.header.comments + tuple(y for x in self.parsed.values() for y in x.comments),
            warnings=(*dict.fromkeys(self.warnings), *oddities(stretches, self.strict)),
        )

    def _ordinary(self, segment: Segment) -> Header:
        """The header of a segment, parsed once."""
        if segment.name not in self.parsed:
            name = f"{segment.name}.hea"
            if name not in self.files:
                raise MissingFile(
                    "a segment of the WFDB record is not in the upload; send all its files together"
                )
            header = parse_header(self.files[name])
            if header.segments:
                raise InvalidHeader("a segment of a WFDB record has segments itself; the format forbids it")
            if abs(header.rate_hz - self.header.rate_hz) > 1e-6 * self.header.rate_hz:
                raise InvalidHeader("the segments of the WFDB record differ in their sampling rate")
            for sentence in header.oddities:
                self._warn(sentence)
            self.parsed[segment.name] = header
        return self.parsed[segment.name]

    def _check_count(self, segments: Sequence[Segment]) -> None:
        """A segment may come any number of times, so the bytes do not bound the work."""
        stored = [x for x in segments if x.name != NULL and x.frames]
        signals = sum(len(self._ordinary(x).signals) for x in stored)
        if len(stored) > _MAX_SEGMENTS or signals > _MAX_SEGMENT_SIGNALS:
            raise InvalidHeader(
                f"the WFDB record has more segments than are read (at most {_MAX_SEGMENTS}, with "
                f"{_MAX_SEGMENT_SIGNALS} signals in all); send it in parts"
            )

    def _lay_out(self, layout: Header) -> None:
        for key, signal in zip(_keys([x.name for x in layout.signals]), layout.signals, strict=True):
            unit = MILLIVOLT if mv_per(signal.unit) is not None else signal.unit
            self.slots[key] = _Slot(unit=unit, samples_per_frame=signal.storage.samples_per_frame)

    def _segment(self, segment: Segment, header: Header) -> Stretch:
        if header.frames not in (0, segment.frames):
            self._warn("a segment's length differs between its own header and that of the record")
        try:
            return read_stretch(header, self.files, self.most, segment.frames)
        except Truncated:
            return Stretch(frames=0, declared=segment.frames, tracks=())

    def _place(self, stretch: Stretch, position: int, frames: int) -> None:
        for key, track in zip(_keys([x.name for x in stretch.tracks]), stretch.tracks, strict=True):
            slot = self.slots.setdefault(key, _Slot())
            slot.unit = track.unit if slot.unit is None else slot.unit
            if slot.samples is None:
                slot.samples_per_frame = track.samples_per_frame
            if slot.samples_per_frame != track.samples_per_frame:
                raise InvalidHeader("the segments of the WFDB record differ in a lead's sampling rate")
            if slot.unit != track.unit:
                self._warn("a segment has another unit than the record; its samples count as missing")
                continue
            start = position * track.samples_per_frame
            self._allocated(slot, frames)[start : start + track.samples.size] = track.samples

    def _allocated(self, slot: _Slot, frames: int) -> npt.NDArray[np.float32]:
        if slot.samples is None:
            self.allocated += frames * slot.samples_per_frame
            if self.allocated > self.most:
                raise InvalidHeader("the WFDB record has far more samples than its files have bytes")
            slot.samples = missing(frames * slot.samples_per_frame)
        return slot.samples

    def _warn(self, sentence: str) -> None:
        if self.strict:
            raise InvalidHeader(f"{sentence}; send the files again, or read them without `strict`")
        self.warnings.append(sentence)


def _keys(names: Sequence[str]) -> list[tuple[str, int]]:
    seen: dict[str, int] = {}
    keys: list[tuple[str, int]] = []
    for name in names:
        keys.append((name, seen.get(name, 0)))
        seen[name] = seen.get(name, 0) + 1
    return keys
