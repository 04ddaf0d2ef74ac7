"""The table of events behind the data records of a GDF file."""

from __future__ import annotations

import math
import struct

import numpy as np

from exchangeai.formats._gdf_header import GdfHeader
from exchangeai.recording import Annotation

_SMALL_TABLE, _WITH_DURATIONS, _MAX_EVENTS = 8, 2, 200_000
_LATER_LAYOUT = 1.94
_SPARSE_VALUE, _END = 0x7FFF, 0x8000


def events_of(
    data: bytes, header: GdfHeader, fastest_hz: float, lead_names: dict[int, str]
) -> tuple[list[Annotation], list[str]]:
    """Annotations in order of time, and warnings.

    An event's label is the file's own text for its code, else the code (`0x0501`); `lead_names` are
    those of the channels, counted from 1. Ends that stand apart (bit 15) give the duration of their event.
    """
    at = header.events_at
    if at is None or at + _SMALL_TABLE > len(data):
        return [], []
    mode = data[at]
    if header.version < _LATER_LAYOUT:
        rate_hz, count = float(int.from_bytes(data[at + 1 : at + 4], "little")), _u32(data, at + 4)
    else:
        count, rate_hz = (
            int.from_bytes(data[at + 1 : at + 4], "little"),
            struct.unpack_from("<f", data, at + 4)[0],
        )
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        rate_hz = fastest_hz
    width = 12 if mode & _WITH_DURATIONS else 6
    there = min(count, (len(data) - at - _SMALL_TABLE) // width, _MAX_EVENTS)
    warnings = [f"only {there} of {count} events could be read"] if there < count else []
    if there < count and there < _MAX_EVENTS:
        # The columns follow each other: where the table is cut, none is whole.
        return [], ["the table of events is truncated and was left out"]
    at += _SMALL_TABLE
    positions = np.frombuffer(data, "<u4", there, at)
    kinds = np.frombuffer(data, "<u2", there, at + 4 * count)
    channels = durations = np.zeros(there, np.uint32)
    if mode & _WITH_DURATIONS:
        channels = np.frombuffer(data, "<u2", there, at + 6 * count)
        durations = np.frombuffer(data, "<u4", there, at + 8 * count)
    found: list[Annotation] = []
    order = np.argsort(positions, kind="stable")
    ends = _ends(positions[order].tolist(), kinds[order].tolist(), channels[order].tolist())
    for rank, i in enumerate(order.tolist()):
        kind = int(kinds[i])
        if kind & _END or kind == _SPARSE_VALUE:
            continue
        length = int(durations[i]) or ends.get(rank, 0)
        found.append(
            Annotation(
                # Positions count from 1.
                onset_s=(max(int(positions[i]), 1) - 1) / rate_hz,
                label=_label(kind, header.descriptions),
                duration_s=length / rate_hz if length else None,
                lead=lead_names.get(int(channels[i])),
            )
        )
    return found, warnings


def _ends(positions: list[int], kinds: list[int], channels: list[int]) -> dict[int, int]:
    """Lengths in samples of the events, by rank, whose end is an event of its own."""
    begun: dict[tuple[int, int], int] = {}
    lengths: dict[int, int] = {}
    for rank, (position, kind, channel) in enumerate(zip(positions, kinds, channels, strict=True)):
        key = (kind & ~_END, channel)
        if not kind & _END:
            begun[key] = rank
        elif key in begun:
            start = begun.pop(key)
            lengths[start] = position - positions[start]
    return lengths


def _label(kind: int, descriptions: tuple[str, ...]) -> str:
    own = descriptions[kind] if kind < len(descriptions) else ""
    return own or f"0x{kind:04x}"


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
