"""XLI, the compression of Philips cardiographs: LZW of 10-bit codes over second differences of 16 bits.

Each lead is a chunk: its length (int32, little-endian), an int16 that is not used here, the int16 with which
the differences begin, then the codes, most significant bit first. The unpacked bytes are the upper halves of
all words, then the lower halves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader

Words = npt.NDArray[np.int16]

_HEADER = struct.Struct("<ihh")
_BITS = 10
_MAX_CODE = (1 << _BITS) - 2
_FIRST_FREE = 256
_LEARNING = _MAX_CODE + 2 - _FIRST_FREE
"""With so many codes the table is full."""
_BIAS = 64
_MAX_CHUNKS = 1024
_MAX_UNPACKED = 16 << 20
"""A code of 10 bits can stand for 768 bytes, so a small text could unpack to gigabytes."""
_BLOCK = 1 << 16
_LEFT = np.array([2, 4, 6, 8], np.uint16)
_RIGHT = np.array([6, 4, 2, 0], np.uint16)
_BYTES = [bytes((x,)) for x in range(_FIRST_FREE)]


def unpacked(data: bytes, declared: int | None) -> list[Words]:
    """The leads of XLI data, int16 [samples] each, in the order of the file.

    `declared` is how many samples a lead should have: it tells the two halves of a chunk that ends early
    apart. Raises InvalidHeader for data that unpack to more than 16 MiB.
    """
    starts: list[int] = []
    chunks: list[bytes] = []
    at = 0
    while at + _HEADER.size <= len(data) and len(chunks) < _MAX_CHUNKS:
        size, _, start = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if size <= 0:
            break
        starts.append(start)
        chunks.append(data[at : at + size])
        at += size
    room = _MAX_UNPACKED
    words: list[Words] = []
    for codes in _codes(chunks):
        packed, whole = _lzw(codes, room)
        room -= len(packed)
        # Only the last chunk can be cut.
        whole = whole and (len(words) + 1 < len(chunks) or at <= len(data))
        words.append(_words(packed, (len(packed) + 1) // 2 if whole else declared or 0))
    if len({x.size for x in words}) == 1:
        return list(_integrated(np.stack(words), np.array(starts)))
    return [_integrated(x, np.array(start)) for x, start in zip(words, starts, strict=True)]


def with_limb_leads(leads: dict[str, Words]) -> dict[str, Words]:
    """The same leads, with the limb leads that XLI stores as what Einthoven and Goldberger leave, in full.

    III, aVR, aVL and aVF are computed from I and II in whole counts, rounded down, and the stored values are
    the differences from that. Raises InvalidHeader when I or II is absent.
    """
    residual = [x for x in ("III", "aVR", "aVL", "aVF") if x in leads]
    if not residual:
        return leads
    if "I" not in leads or "II" not in leads or (("aVL" in leads or "aVF" in leads) and "III" not in leads):
        raise InvalidHeader("limb leads are stored as differences, but the leads they differ from are absent")
    size = min(leads[x].size for x in ("I", "II", *residual))
    one, two = (leads[x][:size].astype(np.int32) for x in ("I", "II"))
    full = dict(leads)
    if "III" in leads:
        full["III"] = _wrapped(two - one - leads["III"][:size])
    three = full.get("III", leads["I"]).astype(np.int32)[:size]
    if "aVR" in leads:
        full["aVR"] = _wrapped(-((one + two) >> 1) - leads["aVR"][:size])
    if "aVL" in leads:
        full["aVL"] = _wrapped(((one - three) >> 1) - leads["aVL"][:size])
    if "aVF" in leads:
        full["aVF"] = _wrapped(((two + three) >> 1) - leads["aVF"][:size])
    return full


def _lzw(codes: list[int], room: int) -> tuple[bytes, bool]:
    """The bytes behind codes, and whether all codes made sense."""
    n_codes = len(codes)
    if _MAX_CODE + 1 in codes:
        n_codes = codes.index(_MAX_CODE + 1)
        codes = codes[:n_codes]
    if not codes or codes[0] >= _FIRST_FREE:
        return b"", False
    table = _BYTES.copy()
    add = table.append
    last = table[codes[0]]
    for known, code in enumerate(codes[1:_LEARNING], _FIRST_FREE):
        if code < known:
            part = table[code]
            add(last + part[:1])
        elif code == known:
            part = last + last[:1]
            add(part)
        else:
            # Damaged: what follows means nothing.
            del codes[known - _FIRST_FREE + 1 :]
            break
        last = part
    # An entry never changes, so the whole text can be looked up at the end.
    if len(codes) * len(table) > room and sum(len(table[x]) for x in codes) > room:
        raise InvalidHeader("the compressed samples unpack to more than 16 MiB; the file is damaged")
    # Joining takes 80 bytes a code, so it goes by blocks.
    blocks = (codes[i : i + _BLOCK] for i in range(0, len(codes), _BLOCK))
    return b"".join([b"".join(map(table.__getitem__, x)) for x in blocks]), len(codes) == n_codes


def _codes(chunks: list[bytes]) -> Iterator[list[int]]:
    """The 10-bit codes of each chunk: four in each five bytes."""
    padded = b"".join(x + bytes(-len(x) % 5) for x in chunks)
    groups = np.frombuffer(padded, np.uint8).reshape(-1, 5).astype(np.uint16)
    codes = groups[:, :4] << _LEFT
    codes |= groups[:, 1:] >> _RIGHT
    codes &= (1 << _BITS) - 1
    every = codes.reshape(-1)
    at = 0
    for chunk in chunks:
        yield every[at : at + len(chunk) * 8 // _BITS].tolist()
        at += (len(chunk) + 4) // 5 * 4


def _words(packed: bytes, n: int) -> Words:
    """The words of n upper and up to n lower halves; only those with both are samples."""
    halves = np.frombuffer(packed, np.uint8)
    upper, lower = halves[:n], halves[n : 2 * n]
    # Of an odd number of bytes, the last lower half is a zero that was left out.
    size = n if halves.size == 2 * n - 1 else lower.size
    words = upper[:size].astype(np.uint16) << 8
    words[: lower.size] |= lower
    return words.view(np.int16)


def _integrated(words: Words, start: npt.NDArray[Any]) -> Words:
    """Samples [..., n] from their second differences; sums wrap at 16 bits, as the device's do."""
    if words.shape[-1] < 3:
        return words.copy()
    steps = np.empty_like(words)
    steps[..., 0] = words[..., 0]
    np.subtract(words[..., 1], words[..., 0], out=steps[..., 1])
    steps[..., 2] = _wrapped(-start)
    np.subtract(np.int16(_BIAS), words[..., 2:-1], out=steps[..., 3:])
    np.cumsum(steps[..., 1:], axis=-1, dtype=np.int16, out=steps[..., 1:])
    return np.cumsum(steps, axis=-1, dtype=np.int16)


def _wrapped(values: npt.NDArray[Any]) -> Any:
    return values.astype(np.int16)
