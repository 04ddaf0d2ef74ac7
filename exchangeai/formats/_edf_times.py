"""Time stamps and annotations of EDF+ and BDF+: time-stamped annotation lists (Kemp & Olivan 2003, 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader
from exchangeai.formats._edf_header import Channel, Header
from exchangeai.recording import Annotation

_MAX_ANNOTATIONS = 200_000
_STAMP = re.compile(rb"([+-]?\d{1,12}(?:\.\d{0,12})?)\x14\x14")
_LIST = re.compile(rb"[^\0]+")
_ONSET = re.compile(rb"([+-]?\d{1,12}(?:\.\d{0,12})?)(?:\x15(\d{1,12}(?:\.\d{0,12})?)?)?")
_DRIFT = 1e-3
"""So far a recorder's clock and its samples may go apart."""
_JITTER_S = 1e-3
"""Stamps are rounded to the digits that are printed; a gap is longer than this."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Data records that follow each other without a gap."""

    first: int
    count: int
    start_s: float
    """Seconds after the start of the first data record."""


def annotations_of(header: Header, blocks: npt.NDArray[np.uint8]) -> tuple[list[Annotation], list[str]]:
    """All annotations in order of time, and warnings.

    `blocks` is uint8 [data record, byte]. Onsets count from the start of the first data record, which
    EDF+ may place a fraction of a second after the start time of the header.
    """
    start_s = _start_s(header, blocks)
    found: list[Annotation] = []
    odd = 0
    for channel in _lists(header):
        for part in _LIST.finditer(_bytes_of(header, channel, blocks)):
            head, *texts = part[0].split(b"\x14")
            onset = _ONSET.fullmatch(head)
            if onset is None or not texts:
                odd += 1
                continue
            for text in texts:
                if text and len(found) < _MAX_ANNOTATIONS:
                    found.append(
                        Annotation(
                            # Rounded to the nanosecond: the difference of two decimal numbers is not exact.
                            onset_s=round(float(onset[1]) - start_s, 9),
                            label=_label(text),
                            duration_s=None if onset[2] is None else float(onset[2]),
                        )
                    )
    warnings: list[str] = []
    if odd:
        warnings.append(f"{odd} entries of the annotation channels are malformed and were left out")
    if len(found) == _MAX_ANNOTATIONS:
        warnings.append(f"only the first {_MAX_ANNOTATIONS} annotations were read")
    return sorted(found, key=lambda x: x.onset_s), warnings


def stretches_of(header: Header, blocks: npt.NDArray[np.uint8]) -> list[Stretch]:
    """The gapless stretches of a discontinuous file. Raises InvalidHeader when its stamps are no use."""
    onsets_s = _onsets_s(header, blocks)
    if (np.diff(onsets_s) < header.record_s * 0.99).any():
        raise InvalidHeader("the data records of the discontinuous EDF file overlap in time")
    fastest = max((x.samples_per_record for x in header.channels if not x.is_annotation), default=1)
    jitter_s = max(header.record_s / max(fastest, 1) / 2, min(_JITTER_S, header.record_s / 4))
    starts: list[tuple[int, float]] = [(0, 0.0)]
    for i, onset_s in enumerate((onsets_s - onsets_s[0]).tolist()):
        first, start_s = starts[-1]
        if onset_s > start_s + (i - first) * header.record_s + jitter_s:
            starts.append((i, onset_s))
    ends = [x for x, _ in starts[1:]] + [header.records]
    return [
        Stretch(first=first, count=end - first, start_s=start_s)
        for (first, start_s), end in zip(starts, ends, strict=True)
    ]


def hides_gaps(header: Header, blocks: npt.NDArray[np.uint8]) -> bool:
    """The last data record's stamp is later than that of a file without gaps."""
    channel = next(_lists(header), None)
    if channel is None:
        return False
    first, last = (_STAMP.match(blocks[i, channel.first_byte :].tobytes()) for i in (0, -1))
    if first is None or last is None:
        return False
    held_s = (header.records - 1) * header.record_s
    return float(last[1]) - float(first[1]) > held_s + max(header.record_s, held_s * _DRIFT)


def _lists(header: Header) -> Iterator[Channel]:
    return (x for x in header.channels if x.is_annotation and x.samples_per_record)


def _bytes_of(header: Header, channel: Channel, blocks: npt.NDArray[np.uint8]) -> bytes:
    """The lists of all data records, each ended by a zero even where the writer forgot it."""
    width = channel.samples_per_record * header.sample_bytes
    lists = np.zeros((header.records, width + 1), np.uint8)
    lists[:, :width] = blocks[:, channel.first_byte : channel.first_byte + width]
    return lists.tobytes()


def _start_s(header: Header, blocks: npt.NDArray[np.uint8]) -> float:
    channel = next(_lists(header), None)
    if channel is None:
        return 0.0
    stamp = _STAMP.match(blocks[0, channel.first_byte :].tobytes())
    return 0.0 if stamp is None else float(stamp[1])


def _onsets_s(header: Header, blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Start of each data record, from the first time stamp of its first annotation channel."""
    channel = next(_lists(header), None)
    if channel is None:
        raise InvalidHeader("the file says it has gaps (EDF+D) but holds no time stamps")
    lists = _bytes_of(header, channel, blocks)
    width = len(lists) // header.records
    stamps = [_STAMP.match(lists, i * width, (i + 1) * width) for i in range(header.records)]
    if None in stamps:
        raise InvalidHeader("a data record of the discontinuous EDF file has no time stamp")
    return np.asarray([float(x[1]) for x in stamps if x is not None])


def _label(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")
