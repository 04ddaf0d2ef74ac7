"""Frames of samples of an MFER file, and what was defined when each began."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader
from exchangeai.formats import _mfer_tags as tags
from exchangeai.formats._mfer_walk import Definition

_MAX_CHANNELS = 1024
_MAX_DESCRIBED, _MAX_PARTS = 50_000, 1_000_000
"""Of channels described in all, and of their parts in all frames: they bound the time that reading takes."""


@dataclass(frozen=True, kw_only=True)
class MferChannel:
    """What holds for one channel of a frame: values as stored, None where nothing is defined."""

    kind: str
    """numpy's name of the stored type, with its byte order."""
    block: int
    sequences: int | None
    waveform: int | None
    lead_code: int | None
    lead_text: bytes
    status: bool
    """Flags, no signal."""
    interval: tuple[int, int, int] | None
    """(unit, decimal exponent, mantissa)"""
    resolution: tuple[int, int, int] | None
    offset: float
    null: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """How the channels of a frame lie in a sequence."""

    channels: tuple[MferChannel, ...]
    starts: tuple[int, ...]
    """First byte of each channel's block."""
    sequence_bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Sequences of blocks: in each, a block of every channel."""

    layout: Layout
    data: memoryview
    sequences: int
    """So many are there; a file that ends early has fewer than `declared`."""
    declared: int
    cut_within: bool
    """The samples end within a sequence."""

    def samples(self, i: int) -> npt.NDArray[Any]:
        """Of one channel, as stored, [sequence * sample]."""
        channel = self.layout.channels[i]
        kind = np.dtype(channel.kind)
        if not self.sequences:
            return np.zeros(0, kind)
        shape, strides = (self.sequences, channel.block), (self.layout.sequence_bytes, kind.itemsize)
        return np.ndarray(shape, kind, self.data, self.layout.starts[i], strides).reshape(-1)


@dataclass(kw_only=True)
class _State:
    big_endian: bool = True
    count: int = 1
    whole: dict[int, bytes] = field(default_factory=dict[int, bytes])
    own: dict[int, dict[int, bytes]] = field(default_factory=dict[int, dict[int, bytes]])
    layout: Layout | None = None
    """As described by the above; None when that has changed since."""
    described: int = 0
    parts: int = 0


def frames_in(definitions: Iterable[Definition]) -> tuple[list[Frame], list[tuple[int, bytes, bool]]]:
    """All frames, and the definitions that describe no samples as (tag, value, whether big endian)."""
    state = _State()
    frames: list[Frame] = []
    others: list[tuple[int, bytes, bool]] = []
    for x in definitions:
        if x.tag == tags.DATA:
            frames.append(_frame(state, x))
            continue
        state.layout = None
        if x.tag == tags.BYTE_ORDER:
            state.big_endian = not (len(x.value) and x.value[0] == 1)
        elif x.tag == tags.CHANNELS and x.channel is None:
            state.count = number(bytes(x.value), state.big_endian) if len(x.value) else 1
            # A number of channels starts the description of channels anew.
            state.own.clear()
        elif x.tag == tags.COMPRESSION and any(x.value[:2]):
            raise InvalidHeader("the samples of the MFER file are compressed, which is not read")
        elif x.tag in tags.OF_A_CHANNEL:
            target = state.whole if x.channel is None else state.own.setdefault(x.channel, {})
            if len(x.value):
                target[x.tag] = bytes(x.value)
            else:
                # Without a value the default holds again.
                target.pop(x.tag, None)
        else:
            others.append((x.tag, bytes(x.value), state.big_endian))
    return frames, others


def number(value: bytes, big_endian: bool, *, signed: bool = False) -> int:
    """An integer of one to eight bytes."""
    if not 0 < len(value) <= 8:
        raise InvalidHeader("a number in the MFER file has no or too many bytes")
    return int.from_bytes(value, "big" if big_endian else "little", signed=signed)


def _frame(state: _State, data: Definition) -> Frame:
    if not 0 < state.count <= _MAX_CHANNELS:
        raise InvalidHeader(f"the MFER file declares {state.count} channels (1 to {_MAX_CHANNELS} are read)")
    layout = state.layout
    if layout is None:
        layout = state.layout = _layout(tuple(_channel(state, i) for i in range(state.count)))
        state.described += state.count
    state.parts += state.count
    if state.described > _MAX_DESCRIBED or state.parts > _MAX_PARTS:
        raise InvalidHeader("the MFER file describes its channels too often; send its parts apart")
    held = len(data.value) + data.missing_bytes
    stated = {x.sequences for x in layout.channels}
    if len(stated) > 1:
        raise InvalidHeader("the channels of the MFER file end at different times, which is not read")
    declared = stated.pop()
    if declared is None:
        declared = held // layout.sequence_bytes
    whole = min(declared, len(data.value) // layout.sequence_bytes)
    return Frame(
        layout=layout,
        data=data.value,
        sequences=whole,
        declared=declared,
        cut_within=whole == declared and held > declared * layout.sequence_bytes,
    )


def _layout(channels: tuple[MferChannel, ...]) -> Layout:
    *starts, end = accumulate((x.block * np.dtype(x.kind).itemsize for x in channels), initial=0)
    return Layout(channels=channels, starts=tuple(starts), sequence_bytes=end)


def _channel(state: _State, i: int) -> MferChannel:
    own = state.own.get(i, {})
    # A lead that is named for the whole file is that of the first channel.
    inherited = {t: v for t, v in state.whole.items() if i == 0 or t != tags.LEAD}
    found = {**inherited, **own}

    def whole(tag: int) -> int | None:
        return number(found[tag], state.big_endian) if tag in found else None

    def scaled(tag: int) -> tuple[int, int, int] | None:
        value = found.get(tag, b"")
        if not value:
            return None
        if len(value) < 3:
            raise InvalidHeader("an interval or a resolution of the MFER file is too short")
        exponent = int.from_bytes(value[1:2], "big", signed=True)
        return value[0], exponent, number(value[2:], state.big_endian, signed=True)

    data_type = whole(tags.DATA_TYPE) or 0
    if data_type not in tags.TYPES:
        raise InvalidHeader(f"the MFER file stores samples as type {data_type}, which is not read")
    kind = np.dtype((">" if state.big_endian else "<") + tags.TYPES[data_type])

    def typed(tag: int) -> float | None:
        value = found.get(tag, b"")
        return float(np.frombuffer(value, kind, 1)[0]) if len(value) >= kind.itemsize else None

    lead = found.get(tags.LEAD, b"")
    code = None if not lead else number(lead[:2], state.big_endian)
    waveform = found.get(tags.WAVEFORM, b"")
    block = whole(tags.BLOCK)
    if block == 0:
        raise InvalidHeader("a block of the MFER file holds no samples")
    return MferChannel(
        kind=kind.str,
        block=1 if block is None else block,
        sequences=whole(tags.SEQUENCES),
        waveform=number(waveform[:2], state.big_endian) if waveform else None,
        lead_code=code,
        lead_text=lead[2:],
        status=data_type == tags.STATUS_TYPE or code == tags.STATUS_LEAD,
        interval=scaled(tags.INTERVAL),
        resolution=scaled(tags.RESOLUTION),
        offset=typed(tags.OFFSET) or 0.0,
        null=typed(tags.NULL),
    )
