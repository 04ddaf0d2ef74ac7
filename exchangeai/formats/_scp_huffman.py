"""Huffman codes of SCP-ECG (EN 1064 5.5 and Annex C), decoded for all bit positions at once.

Which code begins at a bit is looked up for every bit of a lead, so that only the jumps from code to code
remain; those are doubled (one jump over 2, 4, ... codes) until few of them have to be made one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader

_DEFAULT_TABLES = 19999
_STRUCTURE = struct.Struct("<BBBhI")
_LOOKUP_BITS = 12
_DOUBLINGS = 4
_MAX_STATES = 1 << 21
_MAX_TABLES = 256
_NO_CODE = 1 << 40
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One code structure."""

    prefix_bits: int
    total_bits: int
    """Prefix and, where it is longer, a signed number behind it."""
    switches: bool
    """The code stands for no sample: from here on table `value` (counted from 1) is used."""
    value: int
    prefix: int
    """The first bit of the stream is the highest."""


@dataclass(frozen=True)
class Table:
    """The codes of one table."""

    codes: tuple[Code, ...]

    @cached_property
    def lookup(self) -> Indices:
        """Index + 1 of the code that so many bits begin with, 0 where there is none so short."""
        found = np.zeros(1 << _LOOKUP_BITS, np.intp)
        for i, code in reversed(list(enumerate(self.codes))):
            free = _LOOKUP_BITS - code.prefix_bits
            if free >= 0:
                found[code.prefix << free : (code.prefix + 1) << free] = i + 1
        return found

    @cached_property
    def columns(self) -> npt.NDArray[np.int64]:
        """By index + 1: total bits, bits behind the prefix, value, table to switch to or -1; int64 [4, n]."""
        rows = [(_NO_CODE, 0, 0, -1)]
        rows += [
            (
                x.total_bits,
                x.total_bits - x.prefix_bits,
                0 if x.switches else x.value,
                x.value - 1 if x.switches else -1,
            )
            for x in self.codes
        ]
        return np.array(rows, np.int64).T

    def at(self, window: npt.NDArray[np.uint64]) -> Indices:
        """Index + 1 of the code at the head of each window of 32 bits, 0 where there is none."""
        found = np.take(self.lookup, (window >> np.uint64(32 - _LOOKUP_BITS)).view(np.int64))
        for bits in sorted({x.prefix_bits for x in self.codes if x.prefix_bits > _LOOKUP_BITS}):
            open_ = np.flatnonzero(found == 0)
            head = (window[open_] >> np.uint64(32 - bits)).view(np.int64)
            members = [(x.prefix, i + 1) for i, x in enumerate(self.codes) if x.prefix_bits == bits]
            prefixes, numbers = np.array(sorted(members), np.int64).T
            place = np.minimum(np.searchsorted(prefixes, head), prefixes.size - 1)
            found[open_] = np.where(prefixes[place] == head, numbers[place], 0)
        return found


def tables_of(body: bytes) -> tuple[Table, ...]:
    """Tables of section 2; empty when the data are not encoded. Raises InvalidHeader."""
    count = int.from_bytes(body[:2], "little")
    if count == _DEFAULT_TABLES:
        return (_default(),)
    if count > _MAX_TABLES:
        raise InvalidHeader(
            f"the SCP-ECG file announces {count} Huffman tables; at most {_MAX_TABLES} are read"
        )
    tables: list[Table] = []
    at = 2
    for _ in range(count):
        if at + 2 > len(body):
            raise InvalidHeader(
                "the SCP-ECG file announces more Huffman tables than it holds; export it again"
            )
        size = int.from_bytes(body[at : at + 2], "little")
        at += 2
        if at + size * _STRUCTURE.size > len(body):
            raise InvalidHeader("a Huffman table of the SCP-ECG file is cut off; export it again")
        tables.append(Table(tuple(_code(body, at + i * _STRUCTURE.size) for i in range(size))))
        at += size * _STRUCTURE.size
    for code in (x for table in tables for x in table.codes):
        if code.switches and not 1 <= code.value <= len(tables):
            raise InvalidHeader(
                "a Huffman code of the SCP-ECG file switches to a table that it does not hold"
            )
    return tuple(tables)


def decode(data: bytes, count: int, tables: Sequence[Table]) -> tuple[npt.NDArray[np.int64], int]:
    """At most `count` numbers from a lead's bits, and how many bits stay unread behind them.

    Fewer numbers when the data end, or hold a code that is in no table. Decoding starts with the first
    table. Raises InvalidHeader when there are too many tables to follow.
    """
    if not data or count <= 0:
        return np.zeros(0, np.int64), 8 * len(data)
    tables = _reachable(tables)
    bits = 8 * len(data)
    if (bits + 1) * len(tables) > max(_MAX_STATES, bits + 1):
        raise InvalidHeader("the SCP-ECG file switches between more Huffman tables than this reader follows")
    window = _windows(data)
    columns, first = _joined(tables)
    codes = np.zeros(len(tables) * (bits + 1), np.intp)
    for i, table in enumerate(tables):
        at = i * (bits + 1)
        codes[at : at + bits] = table.at(window)
        if i:
            codes[at : at + bits + 1] += first[i]
    after, emits = _jumps(codes, columns, bits, len(tables))
    at = _chain(after, emits, min(count, bits))
    place = at % (bits + 1) if emits is not None else at
    chosen = np.take(codes, at)
    end = place + np.take(columns[0], chosen)
    read = int(np.count_nonzero(end <= bits))
    chosen, place = chosen[:read], place[:read]
    values, extra = np.take(columns[2], chosen), np.take(columns[1], chosen)
    if (long := np.flatnonzero(extra)).size:
        head = window[end[long] - extra[long]].astype(np.int64)
        signed = (head ^ (1 << 31)) - (1 << 31)
        values[long] += signed >> (32 - extra[long])
    return values, bits - int(end[read - 1]) if read else bits


@cache
def _default() -> Table:
    """Zero is `0`; n is n times `1`, then `0`, then its sign; two escapes hold 8 or 16 bits."""
    short = [
        Code(
            prefix_bits=n + 2,
            total_bits=n + 2,
            switches=False,
            value=-n if negative else n,
            prefix=((1 << n) - 1) << 2 | negative,
        )
        for n in range(1, 9)
        for negative in (0, 1)
    ]
    zero = Code(prefix_bits=1, total_bits=1, switches=False, value=0, prefix=0)
    escapes = [
        Code(prefix_bits=10, total_bits=10 + extra, switches=False, value=0, prefix=prefix)
        for extra, prefix in ((8, 0b1111111110), (16, 0b1111111111))
    ]
    return Table((zero, *short, *escapes))


def _code(body: bytes, at: int) -> Code:
    prefix_bits, total_bits, mode, value, stored = _STRUCTURE.unpack_from(body, at)
    prefix_bits, total_bits = min(prefix_bits, total_bits), max(prefix_bits, total_bits)
    if not (1 <= prefix_bits <= 32 and total_bits - prefix_bits <= 32):
        raise InvalidHeader("a Huffman code of the SCP-ECG file has an impossible length; export it again")
    # The file stores the first bit of a code lowest.
    prefix = int(f"{stored & ((1 << prefix_bits) - 1):0{prefix_bits}b}"[::-1], 2)
    return Code(
        prefix_bits=prefix_bits, total_bits=total_bits, switches=mode == 0, value=value, prefix=prefix
    )


def _windows(data: bytes) -> npt.NDArray[np.uint64]:
    """The 32 bits from each bit on, zeros behind the end: uint64 [8 * bytes]."""
    padded = np.frombuffer(data + bytes(8), np.uint8)
    words = np.zeros(len(data), np.uint64)
    for i in range(5):
        words = words << np.uint64(8) | padded[i : i + len(data)]
    shifted = words[:, None] >> np.arange(8, 0, -1, dtype=np.uint64)[None, :]
    shifted &= np.uint64(0xFFFFFFFF)
    return shifted.ravel()


def _reachable(tables: Sequence[Table]) -> tuple[Table, ...]:
    """All tables where any is switched to, else the first alone."""
    return tuple(tables) if any(x.switches for x in tables[0].codes) else (tables[0],)


def _joined(tables: Sequence[Table]) -> tuple[npt.NDArray[np.int64], Indices]:
    sizes = [len(x.codes) + 1 for x in tables]
    return np.concatenate([x.columns for x in tables], axis=1), np.cumsum([0, *sizes[:-1]])


def _jumps(
    codes: Indices, columns: npt.NDArray[np.int64], bits: int, tables: int
) -> tuple[Indices, Indices | None]:
    """Per state (table and bit): the state behind its code, and the state that next stands for a number.

    All that is wrong or incomplete leads behind the last bit of the first table, where no code is. With one
    table every code stands for a number (None).
    """
    place = np.arange(bits + 1)
    if tables > 1:
        place = np.tile(place, tables)
    after = np.take(columns[0], codes)
    after += place
    np.minimum(after, bits, out=after)
    if tables == 1:
        return after, None
    own = np.arange(codes.size)
    target = np.take(columns[3], codes)
    table = np.where(target >= 0, target, own // (bits + 1))
    after = np.where(after == bits, bits, table * (bits + 1) + after)
    emits = np.where(target >= 0, after, own)
    while not np.array_equal(further := emits[emits], emits):
        emits = further
    return after, emits


def _chain(after: Indices, emits: Indices | None, count: int) -> Indices:
    """The first `count` states that stand for numbers; what lies behind the end repeats the end."""
    levels = [after if emits is None else np.take(emits, after)]
    for _ in range(_DOUBLINGS):
        levels.append(np.take(levels[-1], levels[-1]))
    jump = levels.pop().item
    state = 0 if emits is None else int(emits[0])
    anchors: list[int] = []
    for _ in range(-(-count // (1 << _DOUBLINGS))):
        anchors.append(state)
        state = jump(state)
    chain = np.array(anchors, np.intp)
    for level in reversed(levels):
        wider = np.empty((chain.size, 2), np.intp)
        wider[:, 0] = chain
        wider[:, 1] = np.take(level, chain)
        chain = wider.ravel()
    return chain[:count]
