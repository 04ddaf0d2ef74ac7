"""Stored samples of a WFDB signal file to numbers: all formats of signal(5), by whole arrays.

A block is an integer array [signals, samples] of signals that share their samples per frame.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soundfile  # pyright: ignore[reportMissingTypeStubs]

from exchangeai.errors import InvalidHeader
from exchangeai.formats._wfdb_header import Signal

Block = npt.NDArray[np.integer]
FLAC_FORMATS = frozenset({508, 516, 524})
_LARGEST = {
    8: 1 << 31, 16: 1 << 15, 24: 1 << 23, 32: 1 << 31, 61: 1 << 15, 80: 1 << 7, 160: 1 << 15,
    212: 1 << 11, 310: 1 << 9, 311: 1 << 9, 508: 1 << 7, 516: 1 << 15, 524: 1 << 23,
}  # fmt: skip
"""Largest magnitude; its negative stands for "no sample" in all formats but 8, which stores differences."""
_BYTES = {8: 1, 16: 2, 24: 3, 32: 4, 61: 2, 80: 1, 160: 2}
_WORDS = {8: "<i1", 16: "<i2", 32: "<i4", 61: ">i2", 80: "<u1", 160: "<u2"}
_TAIL_SAMPLES = {310: (0, 0, 1, 1), 311: (0, 0, 1, 2)}
"""Three 10-bit samples take four bytes; so many are in one, two or three bytes left over."""
_TAIL_BYTES = {310: (0, 2, 4), 311: (0, 2, 3)}
_MAX_FLAC_CHANNELS = 8
_EXACT_IN_FLOAT32 = 1 << 24


def frames_in(data: bytes, group: Sequence[Signal]) -> int:
    """Whole frames that a signal file holds. Raises InvalidHeader for a format there is not."""
    kind, offset = group[0].storage.format, group[0].storage.offset
    if kind in FLAC_FORMATS:
        samples = _flac_samples(data, group) - offset
        return max(0, samples) // group[0].storage.samples_per_frame
    size = max(0, len(data) - offset)
    if kind in _BYTES:
        samples = size // _BYTES[kind]
    elif kind == 212:
        samples = size * 2 // 3
    elif kind in _TAIL_SAMPLES:
        samples = size // 4 * 3 + _TAIL_SAMPLES[kind][size % 4]
    else:
        raise InvalidHeader(f"WFDB signal format {kind} is unknown")
    return samples // sum(x.storage.samples_per_frame for x in group)


def blocks_of(data: bytes, group: Sequence[Signal], frames: int) -> list[tuple[slice, Block]]:
    """Stored values of the first frames of a file, with the signals of the group that each block holds.

    Call it with no more frames than `frames_in` says; a damaged FLAC file may still give fewer.
    """
    kind, offset = group[0].storage.format, group[0].storage.offset
    widths = [x.storage.samples_per_frame for x in group]
    if kind in FLAC_FORMATS:
        return [(slice(0, len(group)), _flac(data, offset, frames * widths[0], widths[0]))]
    if kind == 212 and sum(widths) % 2 == 0:
        columns: Block = _pairs_by_column(data, offset, sum(widths), frames)
    else:
        columns = _stored(data, kind, offset, frames * sum(widths)).reshape(frames, sum(widths)).T
    # A column holds one place of all frames: [places, frames]; a signal has as many as its samples per frame.
    count, width = len(group), widths[0]
    if len(set(widths)) == 1:
        by_signal = np.ascontiguousarray(columns.reshape(count, width, frames).transpose(0, 2, 1))
        parts = [(slice(0, count), by_signal.reshape(count, frames * width))]
    else:
        ends = np.cumsum(widths).tolist()
        parts = [
            (slice(i, i + 1), np.ascontiguousarray(columns[end - width : end].T).reshape(1, -1))
            for i, (width, end) in enumerate(zip(widths, ends, strict=True))
        ]
    return [(at, _finished(block, kind, group[at])) for at, block in parts]


def checksums(block: Block) -> list[int]:
    """Sum of each signal's stored values, modulo 65536."""
    words = block.view(np.uint16) if block.dtype == np.int16 else block.astype(np.uint16)
    return np.add.reduce(words, axis=1, dtype=np.uint16).tolist()


def physical(block: Block, group: Sequence[Signal], factors: Sequence[float]) -> npt.NDArray[np.float32]:
    """(stored - baseline) / gain, times a factor per signal; NaN where there is no sample.

    Rounded once, as if computed in float64.
    """
    kind = group[0].storage.format
    largest = _LARGEST[kind] + max(abs(x.baseline) for x in group)
    # Division of two exact float32 rounds to what float64 would give, rounded.
    if largest <= _EXACT_IN_FLOAT32 and all(
        f == 1 and x.baseline.is_integer() and float(np.float32(x.gain)) == x.gain
        for x, f in zip(group, factors, strict=True)
    ):
        out = block.astype(np.float32)
        if any(x.baseline for x in group):
            out -= np.array([[x.baseline] for x in group], np.float32)
        if any(x.gain != 1 for x in group):
            out /= np.array([[x.gain] for x in group], np.float32)
    else:
        out = np.empty(block.shape, np.float32)
        for i, (signal, factor) in enumerate(zip(group, factors, strict=True)):
            row = (block[i] - np.float64(signal.baseline)) / signal.gain
            out[i] = row if factor == 1 else row * factor
    if kind != 8 and block.size and int(block.min()) <= -_LARGEST[kind]:
        out[block == -_LARGEST[kind]] = np.nan
    for i, signal in enumerate(group):
        if signal.storage.skew:
            shift = signal.storage.skew * signal.storage.samples_per_frame
            out[i, :-shift] = out[i, shift:].copy()
            out[i, -shift:] = np.nan
    return out


def _stored(data: bytes, kind: int, offset: int, samples: int) -> Block:
    """Samples in the order of the file, as yet without the formats' own offsets."""
    if kind in _WORDS:
        return np.frombuffer(data, _WORDS[kind], samples, offset)
    if kind == 24:
        raw = np.frombuffer(data, np.uint8, samples * 3, offset).reshape(-1, 3)
        wide = np.zeros((samples, 4), np.uint8)
        wide[:, 1:] = raw
        return wide.view("<i4").reshape(-1) >> 8
    if kind == 212:
        padded = _padded(data, offset, math.ceil(samples * 3 / 2), 3)
        return _pairs_by_column(padded, 0, 2, padded.size // 3).T.reshape(-1)[:samples]
    size = samples // 3 * 4 + _TAIL_BYTES[kind][samples % 3]
    padded = _padded(data, offset, size, 4)
    if kind == 310:
        first, second = padded.view("<u2").reshape(-1, 2).T
        three = (first >> 1, second >> 1, first >> 11 | second >> 11 << 5)
    else:
        word = padded.view("<u4")
        three = (word, word >> 10, word >> 20)
    ten = np.stack(three, axis=1).reshape(-1)[:samples].astype(np.int16)
    return (ten << 6) >> 6


def _pairs_by_column(
    data: bytes | npt.NDArray[np.uint8], offset: int, columns: int, frames: int
) -> npt.NDArray[np.int16]:
    """Format 212 with whole pairs in a frame: [columns, frames] without an array in the file's order."""
    raw = np.frombuffer(data, np.uint8, frames * columns // 2 * 3, offset)
    out = np.empty((columns, frames), np.int16)
    if frames == 0:
        return out
    # Three bytes a, b, c hold b's low nibble over a, and b's high nibble over c: two overlapping words.
    shape, strides = (columns // 2, frames), (3, columns // 2 * 3)
    first, second = out[0::2], out[1::2]
    first[:] = np.ndarray(shape, "<i2", raw, 0, strides)
    second[:] = np.ndarray(shape, ">i2", raw, 1, strides)
    # Shifts to the top and back extend the sign.
    first <<= 4
    first >>= 4
    low = second & 0xFF
    second >>= 12
    second <<= 8
    second |= low
    return out


def _finished(block: Block, kind: int, group: Sequence[Signal]) -> Block:
    """Offset binary to two's complement; differences to values; the machine's byte order."""
    if kind == 80:
        return (block ^ 0x80).view(np.int8)
    if kind == 160:
        return (block ^ 0x8000).astype(np.uint16, copy=False).view(np.int16)
    if kind == 8:
        first = np.array([[x.first] for x in group], np.int64)
        return (np.cumsum(block, axis=1, dtype=np.int64) + first).astype(np.int32)
    return block.astype(block.dtype.newbyteorder("="), copy=False)


def _padded(data: bytes, offset: int, size: int, multiple: int) -> npt.NDArray[np.uint8]:
    out = np.zeros(math.ceil(size / multiple) * multiple, np.uint8)
    out[:size] = np.frombuffer(data, np.uint8, size, offset)
    return out


def _flac_samples(data: bytes, group: Sequence[Signal]) -> int:
    """Samples of each channel as the FLAC file's own header says, after checks against the record's."""
    if len({x.storage.samples_per_frame for x in group}) > 1 or len(group) > _MAX_FLAC_CHANNELS:
        raise InvalidHeader("a FLAC signal file holds at most 8 signals of one rate")
    with _opened(data) as file:
        if file.channels != len(group):
            raise InvalidHeader("the FLAC file has another number of channels than the WFDB header says")
        bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}.get(file.subtype, 32)
        if bits > group[0].storage.format - 500:
            raise InvalidHeader("the FLAC file has more bits per sample than the WFDB header says")
        return int(file.frames)


def _flac(data: bytes, offset: int, samples: int, width: int) -> Block:
    with _opened(data) as file:
        bits = {"PCM_S8": 8, "PCM_16": 16}.get(file.subtype, 24)
        out = np.zeros((samples, file.channels), np.int32 if bits == 24 else np.int16)
        found = samples
        try:
            file.seek(offset)
            file.read(out=out)  # pyright: ignore[reportUnknownMemberType]
        except soundfile.LibsndfileError:
            # What comes before the damage is whole.
            found = max(0, min(samples, file.tell() - offset)) // width * width
    by_signal = np.ascontiguousarray(out[:found].T)
    # The library aligns values to the top of its integers.
    return by_signal >> 8 if bits != 16 else by_signal


def _opened(data: bytes) -> soundfile.SoundFile:
    if not data.startswith(b"fLaC"):
        raise InvalidHeader("the WFDB header says FLAC, but the signal file is no FLAC file")
    try:
        return soundfile.SoundFile(io.BytesIO(data))
    except soundfile.LibsndfileError as e:
        raise InvalidHeader("the FLAC signal file is damaged; send it again") from e
