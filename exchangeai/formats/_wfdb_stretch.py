"""One stretch of a WFDB record, an ordinary record or a segment: its signal files as tracks of samples.

Guide: header(5) and signal(5) of the WFDB Applications Guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from exchangeai.errors import EmptyFile, InvalidHeader, MissingFile, Truncated
from exchangeai.formats._options import MIN_LENGTH_SHARE
from exchangeai.formats._units import mv_per
from exchangeai.formats._warnings import in_words
from exchangeai.formats._wfdb_header import NULL, Header, Signal, looks_like_header
from exchangeai.formats._wfdb_signals import FLAC_FORMATS, blocks_of, checksums, frames_in, physical
from exchangeai.recording import MILLIVOLT


@dataclass(frozen=True, kw_only=True)
class Track:
    """One signal over the whole record."""

    name: str
    unit: str
    """mV for voltages."""
    samples_per_frame: int
    samples: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """An ordinary record, or a segment."""

    frames: int
    declared: int
    """0 when the header does not say."""
    tracks: tuple[Track, ...]
    wrong: tuple[int, ...] = ()
    """Positions of signals that contradict their checksum."""
    uneven: bool = False
    """Whether its signal files end at different frames."""


def read_stretch(header: Header, files: Mapping[str, bytes], most: int, wanted: int) -> Stretch:
    """Decode at most so many frames (0: all); what a file lacks is NaN when another file has more."""
    groups = [list(x) for _, x in groupby(header.signals, key=lambda x: x.file)]
    stored = [x for x in groups if x[0].file != NULL]
    if len({x[0].file for x in stored}) != len(stored):
        raise InvalidHeader("signals of one file are not next to each other in the WFDB header")
    lengths = [_frames_of(x, files) for x in stored]
    frames = max(lengths, default=0)
    frames = min(frames, wanted) if wanted else frames
    declared = wanted or header.frames
    if not declared and any(x[0].storage.format in FLAC_FORMATS for x in stored):
        declared = frames  # A FLAC file says its length itself.
    if frames == 0:
        if declared and stored:
            raise Truncated(_too_short(declared, 0))
        raise EmptyFile("the WFDB record holds no samples")
    widths = [x.storage.samples_per_frame for x in header.signals]
    if frames * sum(widths) > most:
        raise InvalidHeader("the WFDB record has far more samples than its files have bytes")
    if any(x.storage.skew >= frames for x in header.signals):
        raise InvalidHeader("a lead's skew in the WFDB header is longer than the record")
    tracks: list[Track] = []
    wrong: list[int] = []
    checked = any(x.checksum for x in header.signals)
    shortest = frames
    lengths.reverse()
    for group in groups:
        if group[0].file == NULL:
            tracks += [
                _track(x, np.full(frames * x.storage.samples_per_frame, np.nan, np.float32)) for x in group
            ]
            continue
        there = min(lengths.pop(), frames)
        for at, block in blocks_of(files[group[0].file], group, there):
            part = group[at]
            first = len(tracks)
            if checked and there == declared == header.frames:
                sums = checksums(block)
                wrong += [
                    first + i
                    for i, (x, total) in enumerate(zip(part, sums, strict=True))
                    if x.checksum is not None and (x.checksum - total) % 65536
                ]
            values = physical(block, part, [mv_per(x.unit) or 1.0 for x in part])
            full = frames * part[0].storage.samples_per_frame
            shortest = min(shortest, block.shape[1] // part[0].storage.samples_per_frame)
            if block.shape[1] < full:
                values = np.pad(values, ((0, 0), (0, full - block.shape[1])), constant_values=np.nan)
            tracks += [_track(x, values[i]) for i, x in enumerate(part)]
    return Stretch(
        frames=shortest if declared else frames,
        declared=declared,
        tracks=tuple(tracks),
        wrong=tuple(wrong),
        uneven=shortest < frames,
    )


def missing(samples: int) -> npt.NDArray[np.float32]:
    """So many samples without a value."""
    return np.full(samples, np.nan, np.float32)


def _track(signal: Signal, samples: npt.NDArray[np.float32]) -> Track:
    return Track(
        name=signal.name,
        unit=MILLIVOLT if mv_per(signal.unit) is not None else signal.unit,
        samples_per_frame=signal.storage.samples_per_frame,
        samples=samples,
    )


def _frames_of(group: Sequence[Signal], files: Mapping[str, bytes]) -> int:
    name, storage = group[0].file, group[0].storage
    # Some headers give the offset of a file with its first signal only.
    if any(x.storage.format != storage.format or x.storage.offset not in (0, storage.offset) for x in group):
        raise InvalidHeader("signals of one file differ in format or offset in the WFDB header")
    if name not in files:
        raise MissingFile("a signal file that the WFDB header names is not in the upload; send both together")
    if looks_like_header(files[name]):
        raise InvalidHeader("the WFDB header names a header as its signal file")
    return frames_in(files[name], group)


def check_lengths(stretches: Sequence[Stretch]) -> None:
    declared = sum(x.declared for x in stretches)
    there = sum(x.frames for x in stretches if x.declared)
    if there < MIN_LENGTH_SHARE * declared:
        raise Truncated(_too_short(declared, there))


def _too_short(declared: int, there: int) -> str:
    return (
        f"the WFDB header declares {declared} samples of each lead; the signal files hold {there}. "
        "Send the whole files"
    )


def oddities(stretches: Sequence[Stretch], strict: bool) -> list[str]:
    """Warnings; when strict, the first is an error."""
    declared = sum(x.declared for x in stretches)
    there = sum(x.frames for x in stretches if x.declared)
    odd: list[str] = []
    if there < declared:
        if strict:
            raise Truncated(_too_short(declared, there))
        odd.append(f"truncated: {there} of the {declared} samples that the header declares are there")
    elif any(x.uneven for x in stretches):
        odd.append("the signal files differ in length; the shorter leads end in missing values")
    wrong = sorted({i + 1 for x in stretches for i in x.wrong})
    found = in_words(wrong, "at odds with the checksum in the header")
    if found and strict:
        raise InvalidHeader(f"{found[0]}; send the files again, or read them without `strict`")
    return odd + found
